// Plays a script against whatever carries out commands: line by line, waiting for work, pokes and reading.
//
//   ScriptPlayer player(script, stagehand, instant);
//   while (!player.finished()) player.tick(now_seconds);   instant: no waiting but for work
//
// A line begins when the work of the one before is done. After a sentence the player waits until the beat has
// ended and the sentence can have been read (not when instant).
#pragma once

#include <optional>
#include <string>

#include "viewer/view_model/controller.h"
#include "viewer/view_model/overview.h"
#include "viewer/view_model/script.h"
#include "viewer/view_model/step_data.h"

namespace lastrow::view {

/// What the player needs from the controller.
class Stagehand {
 public:
  virtual ~Stagehand() = default;
  virtual bool working() const = 0;  // a step is being run
  virtual bool animating() const = 0;
  virtual std::string perform(const Command& command) = 0;  // error, or empty
  virtual std::string take_work_error() = 0;                // of work since the last call; or empty
  virtual const Scene* scene() const = 0;                   // null until there is one
  virtual Selection selection() const = 0;
  virtual void set_sentence(const std::string& text, bool asks) = 0;
  virtual void set_asked(std::optional<Target> row) = 0;
  virtual uint64_t pokes_by_user() const = 0;  // grows with each
  virtual std::shared_ptr<const ViewState> view_at_rest() = 0;
};

class ScriptPlayer {
 public:
  ScriptPlayer(Script script, Stagehand& stagehand, ScriptHost* host, bool instant);

  void tick(double now);
  void skip_wait() { skip_ = true; }  // Enter
  /// While paused a sentence stays until Enter.
  void toggle_pause() { paused_ = !paused_; }
  bool finished() const { return finished_; }
  int exit_code() const { return exit_code_; }
  const std::string& error() const { return error_; }
  TourState state() const;

 private:
  bool wait_is_over(double now);
  void run_line(const ScriptLine& line, double now);
  void fail(const ScriptLine& line, int code, const std::string& what);
  int position_of(const ScriptLine& line, ScriptPosition position);
  std::string expand(const ScriptLine& line, const std::string& text);
  std::string expand_one(const ScriptLine& line, const std::string& name);
  void check(const ScriptLine& line, const Expect& expect);
  void find_focus(const ScriptLine& line, int position);

  Script script_;
  Stagehand& hand_;
  ScriptHost* host_;
  bool instant_;
  size_t next_ = 0;
  int row_ = 0;
  int focus_ = -1;
  // What holds up the next line.
  Waiting waiting_ = Waiting::nothing;
  double now_ = 0, wait_since_ = 0, wait_for_ = 0;
  uint64_t pokes_before_ = 0;
  std::optional<Target> asked_;
  bool skip_ = false, paused_ = false, finished_ = false;
  int exit_code_ = 0;
  std::string error_;
};

}  // namespace lastrow::view
