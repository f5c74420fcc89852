// Plays a script line by line; waits for work, for pokes, and for sentences to be read.
//
//   ScriptPlayer player(script, viewer, host, instant);
//   while (!player.finished()) player.tick(now_seconds);   instant: waits only for work
//
// A line begins when the work of the line before it is done. After a sentence the player waits until the beat
// has ended and the user has had time to read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/script/script.h"
#include "viewer/view_model/script/script_host.h"
#include "viewer/view_model/script/scripted_viewer.h"

namespace lastrow::view {

class ScriptPlayer {
 public:
  /// host may be null: then the script writes nothing.
  ScriptPlayer(Script script, ScriptedViewer& viewer, ScriptHost* host, bool instant);

  void tick(double now);
  void skip_wait() { skip_ = true; }  // Enter
  /// To the sentence before this one, with what was shown and poked then. At the first sentence: to its beginning.
  void go_back();
  /// While paused, a sentence stays until Enter.
  void toggle_pause() { paused_ = !paused_; }
  bool finished() const { return finished_; }
  int exit_code() const { return exit_code_; }
  const std::string& error() const { return error_; }
  TourState state() const;

 private:
  bool wait_is_over(double now);
  bool poked_as_asked(double now);
  void fail(const ScriptLine& line, int code, const std::string& what);
  void wait(Waiting what, double seconds);
  void perform(const Command& command);
  const Snapshot& snapshot() const;
  int position_of(ScriptPosition position) const;
  const Target& existing(const Target& target) const;  // throws if the step has no such place
  std::shared_ptr<const ViewState> view_for_picture();

  // ---- one function per kind of line
  void play(const DoCommand& action);
  void play(const DoWindowCommand& action);
  void play(const DoPoke& action);
  void play(const DoRestore& action);
  void play(const DoFocus& action);
  void play(const Say& action);
  void play(const AskPoke& action);
  void play(const Wait& action);
  void play(const Expect& action);
  void play(const PointAt& action);
  void play(const OpenMenuAt& action);
  void play(const WriteShot& action);
  void play(const WriteState& action);

  Script script_;
  ScriptedViewer& viewer_;
  ScriptHost* host_;
  bool instant_;
  size_t next_ = 0;
  int row_ = 0;  // of the line that runs or ran last
  int focus_ = -1;
  // What the next line waits for.
  Waiting waiting_ = Waiting::nothing;
  double now_ = 0, wait_since_ = 0, wait_for_ = 0;
  uint64_t pokes_before_ = 0;
  std::optional<Target> asked_;
  // The sentences up to the current one: the line where each begins, and what was shown there.
  struct Said {
    size_t line, place;
    int focus;
  };
  std::vector<Said> said_;
  std::optional<size_t> returning_;  // the place that go_back() asked for
  bool skip_ = false, paused_ = false, finished_ = false;
  int exit_code_ = 0;
  std::string error_;
};

}  // namespace lastrow::view
