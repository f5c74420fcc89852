// What every lesson stands on: its options, what it says, what it claims, and how it ends.
//
//   void lesson_04(Lesson& lesson) {
//     Screen& screen = lesson.screen();
//     screen.section("One layer");   screen.say("…");   screen.table(…);
//     auto model = lesson.model("fable-mha");                    --model, or this
//     DecodeSession session(model, lesson.backend(), {.record = lesson.record()});
//     lesson.require(same_bits, "the last row is bit-identical");
//     lesson.figure("rows_changed", 0);
//     lesson.found({.claim = 1, .verdict = Verdict::holds, .shown = same_bits, .measured = "…"});
//     lesson.keep(session);                                      what --trace writes
//   }
//   int main(int argc, char** argv) { return run_lesson(argc, argv, {4, "why not queries?", "Who notices
//   …?"}, lesson_04); }
//
// Options, the same in all lessons, none needed: --model, --backend, --trace FILE, --fault NAME (runs the
// lesson on a backend with that bug in it: faults.h), --json (one object instead of the screen), --no-color.
// Exit status: 0 all requirements and findings hold; 1 one does not; 2 the lesson could not be run.
//
// * Take every backend from lesson.backend(), after the model, so that --fault reaches it.
// * Call keep() exactly once if the lesson runs; a lesson that forgets is stopped when --trace is asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "io/atomic_file.h"
#include "lessons/support/claims.h"
#include "lessons/support/screen.h"
#include "model/model.h"
#include "session/session.h"
#include "trace/recorder.h"

namespace lastrow::lessons {

struct About {
  int number;
  std::string_view title;
  std::string_view question;      // that it opens with
  const char* answers = nullptr;  // what stands after the options, for a lesson that takes answers
};

class Lesson {
 public:
  struct Options {
    std::string model, backend, fault;  // "" : the lesson's own choice; no fault
    std::filesystem::path trace;        // "" : none
    bool json = false, color = false;
    std::vector<std::string> answers{};
  };
  /// Throws for a model, backend, fault or trace that cannot be had, and for a model that is smaller than
  /// some lesson needs, before anything is shown.
  Lesson(About about, Options options);

  Screen& screen() { return screen_; }
  const Options& options() const { return options_; }

  /// --model, or the lesson's own choice.
  std::shared_ptr<const Model> model(const std::string& own_choice);
  /// --backend, or the lesson's own choice, with --fault built in. group_size is what repeat-kv repeats by:
  /// that of the model which will run on it; 0 for the lesson's model.
  std::unique_ptr<Backend> backend(const std::string& own_choice = "eigen", int32_t group_size = 0);
  /// Four tokens that the model reads: "the quick brown fox", or t1 … t4 for one of random weights.
  static std::string prompt_for(const Model& model);
  /// What a session is to record so that keep() can write it: nothing without --trace.
  std::optional<RecordOptions> record() const;
  /// Writes the trace, if one was asked for. It appears under its name when the lesson has ended and everything
  /// on standard output is written.
  void keep(const DecodeSession& session);
  void keep(const Recorder& recorder, const std::string& config_json, std::vector<int32_t> tokens);

  /// Instead of keep(), where another program writes the trace: the file that it is to write. "" for none.
  std::filesystem::path trace_for_another_program();

  /// Something that must be so. Prints a line, and is remembered; the lesson goes on. Returns passed.
  bool require(bool passed, const std::string& what);
  /// A measured number under a name, for --json. NaN and infinities are written as null.
  void figure(const std::string& name, double value);
  /// What came of a claim; prints it. Not shown: the lesson fails. `untested` says what this run lacks to put
  /// the claim to the test: then nothing is claimed, and what could be tested is required.
  void found(Finding finding, const std::string& untested = "");
  /// The same without printing it.
  void remember(Finding finding) { findings_.push_back(std::move(finding)); }
  void remember_untested(int claim, std::string why) { untested_.emplace_back(claim, std::move(why)); }
  /// "Try this: …" and what comes next.
  void try_this(const std::vector<std::string>& edits);

  /// Prints what is left to say; the exit status.
  int end(double seconds);
  /// After end(): the trace appears under its name. Throws FileError if standard output lost something.
  void commit();

 private:
  nlohmann::ordered_json report(double seconds) const;
  bool passed() const;

  struct Requirement {
    std::string what;
    bool passed;
  };
  About about_;
  Options options_;
  Screen screen_;
  std::shared_ptr<const Model> asked_for_;  // by --model
  std::string model_name_, backend_name_;   // the first that was asked for; the backend of what was kept
  int32_t group_size_ = 1;                  // of the model
  std::vector<Requirement> requirements_;
  std::vector<Finding> findings_;
  std::vector<std::pair<int, std::string>> untested_;  // claim, why
  std::vector<std::pair<std::string, double>> figures_;
  std::unique_ptr<AtomicFile> trace_;  // written, not yet under its name
  bool kept_ = false;
};

/// What a model lacks for claims about the layers above the first; "" if there are some.
std::string lacks_layers(const Model& model);

/// Reads the options, runs the lesson, ends it. Errors are one line on standard error and status 2.
int run_lesson(int argc, char** argv, About about, void (*body)(Lesson&));

}  // namespace lastrow::lessons
