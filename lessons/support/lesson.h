// What all lessons share: their options, what they print, the claims they test, and the exit status.
//
//   void lesson_04(Lesson& lesson) {
//     Screen& screen = lesson.screen();
//     screen.section("One layer");   screen.say("…");   screen.table(…);
//     auto model = lesson.model("fable-mha");                           --model, or this one
//     DecodeSession session(model, lesson.backend(), {.record = lesson.record(), .cache = lesson.cache()});
//     lesson.require(same_bits, "the last row is bit-identical");       prints ✓ or ✗
//     lesson.figure("rows_changed", 0);                                 a number for --json
//     lesson.found({.claim = 1, .verdict = Verdict::holds, .shown = same_bits, .measured = "…"});
//     lesson.keep(session);                                             what --trace writes
//   }
//   int main(int argc, char** argv) {
//     return run_lesson(argc, argv, {4, "why not queries?", "Who notices …?"}, lesson_04);
//   }
//
// Options, the same in all lessons; none is needed:
//   --model NAME      --backend NAME
//   --cache KIND      --kv-dtype TYPE      of the sessions that the lesson watches, as in `lastrow generate`
//   --trace FILE      writes a trace of the run
//   --fault NAME      runs the lesson on a backend with this bug in it (src/trace/named_faults.h)
//   --json            prints one JSON object instead of the text
//   --no-color
// Exit status: 0 all requirements and findings hold; 1 one of them does not; 2 the lesson could not run.
//
// * Call lesson.backend() after lesson.model(), and get every backend from it. Otherwise --fault has no
//   effect.
// * Call keep() exactly once. With --trace, a lesson that never calls it stops with an error.
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
  std::string_view question;  // the first sentence on the screen
  /// Why the lesson refuses a window or a budget: a clause after "because". Null: it takes them.
  const char* needs_every_row = nullptr;
  const char* answers = nullptr;  // describes the arguments after the options, if the lesson takes any
};

class Lesson {
 public:
  struct Options {
    std::string model, backend, fault;  // "": the lesson's own choice; for fault: none
    std::string cache, kv_dtype;        // "": contiguous, f32
    std::filesystem::path trace;        // "": none
    bool json = false, color = false;
    std::vector<std::string> answers{};
  };
  /// Throws, before anything is printed, if the model, backend, cache, fault or trace file is not available, or if
  /// the model is smaller than the lessons need.
  Lesson(About about, Options options);

  Screen& screen() { return screen_; }
  const Options& options() const { return options_; }

  /// --model, or the lesson's own choice.
  std::shared_ptr<const Model> model(const std::string& own_choice);
  /// The same for a lesson whose claims are about RoPE. Throws UsageError for a model with learned positions.
  std::shared_ptr<const Model> model_with_rope(const std::string& own_choice);
  /// --backend, or the lesson's own choice, with --fault built in. group_size is that of the model that will
  /// run on it (the fault repeat-kv needs it); 0: that of the lesson's model.
  std::unique_ptr<Backend> backend(const std::string& own_choice = "eigen", int32_t group_size = 0);
  /// --cache and --kv-dtype, for the sessions that the lesson watches. A session that is about one kind of cache
  /// or one type chooses its own.
  const CacheOptions& cache() const { return cache_; }
  /// SessionOptions::chunk for a session with cache() whose prompt is one step, whatever the cache.
  int32_t whole_prompt(size_t n_tokens) const;
  /// Four tokens: "the quick brown fox", or t1 … t4 for a model with random weights.
  static std::string prompt_for(const Model& model);
  /// What a session must record so that keep() can write it. Without --trace: nothing.
  std::optional<RecordOptions> record() const;
  /// Writes the trace, with --trace. The file gets its name at the end of the lesson,
  /// after all of standard output is written.
  void keep(const DecodeSession& session);
  void keep(const Recorder& recorder, const std::string& config_json, std::vector<int32_t> tokens);

  /// Instead of keep(), if another program writes the trace: the file that it must write. "": no trace.
  std::filesystem::path trace_for_another_program();

  /// Something that must be true. Prints a line with ✓ or ✗;
  /// the lesson goes on in both cases. Returns `passed`.
  bool require(bool passed, const std::string& what);
  /// A measured number and its name, for --json. NaN and infinities become null.
  void figure(const std::string& name, double value);
  /// The result of testing a claim; prints it. If it was not shown, the lesson fails. If this run
  /// cannot test the claim, `untested` says why. Then the run gives no verdict, and finding.shown says
  /// whether the part that it could test holds.
  void found(Finding finding, const std::string& untested = "");
  /// The same without printing it.
  void remember(Finding finding) { findings_.push_back(std::move(finding)); }
  void remember_untested(int claim, std::string why) { untested_.emplace_back(claim, std::move(why)); }
  /// The section "Try this": edits that the reader can make, and the next lesson.
  void try_this(const std::vector<std::string>& edits, std::string_view next);

  /// Prints the last lines, or the JSON. Returns the exit status.
  int end(double seconds);
  /// Call it after end(): gives the trace its name. Throws FileError if standard output could not be written.
  void commit();

 private:
  nlohmann::ordered_json report(double seconds) const;
  bool passed() const;
  std::string outcome() const;  // one sentence

  struct Requirement {
    std::string what;
    bool passed;
  };
  About about_;
  Options options_;
  CacheOptions cache_{};
  Screen screen_;
  std::shared_ptr<const Model> asked_for_;  // the model of --model
  std::string model_name_, backend_name_;  // the first ones in use; with keep(), the backend of what was kept
  int32_t group_size_ = 1;                 // of the lesson's model
  std::vector<Requirement> requirements_;
  std::vector<Finding> findings_;
  std::vector<std::pair<int, std::string>> untested_;  // claim, why
  std::vector<std::pair<std::string, double>> figures_;
  std::unique_ptr<AtomicFile> trace_;  // written, but not yet renamed to its final name
  bool kept_ = false;
};

/// Why this model cannot test claims about the layers above the first; "" if it has several layers.
std::string lacks_layers(const Model& model);

/// Reads the options, runs the lesson and ends it. An error is one line on standard error, and exit status 2.
int run_lesson(int argc, char** argv, About about, void (*body)(Lesson&));

}  // namespace lastrow::lessons
