// The controller: takes commands, owns the sessions and the thread they run on, gives out what to draw.
//
//   Controller c(options);                 starts the first step on its own thread; returns at once
//   c.send(ChangeBeat{+1});                from the thread that draws; never blocks
//   Frame f = c.frame(now_seconds);        every frame, same thread; never blocks; time only moves here
//   c.settle();                            headless and tests: waits for the work, ends every animation
//   c.play(script, host); … c.script_exit_code();
//
// Never call it from two threads. Steps, prefill and loading run on the controller's own thread, with
// progress and cancel in ViewState::busy; everything else is done in frame(). Invariant: a ViewState shows
// one finished step, whole; work under way or cancelled leaves it as it was.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "viewer/view_model/commands.h"
#include "viewer/view_model/script.h"
#include "viewer/view_model/view_state.h"

namespace lastrow::view {

struct ControllerOptions {
  std::string model = "fable-mha";
  std::string prompt = "the quick brown fox";
  std::string backend = "eigen";
  int step = 4;  // decode steps to open on; 0: prefill
  Theme theme = Theme::light;
  double speed = 1;
  bool reduced_motion = false;
  bool offer_tour = true;
};

/// What a script asks of the program that has the pixels.
class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  /// Draw view, as it is with the beat done, and write it to NAME. Throws FileError.
  virtual void shot(const std::string& name, const ViewState& view) = 0;
  /// Write text (JSON) to NAME. Throws FileError.
  virtual void write_state(const std::string& name, const std::string& json) = 0;
  virtual void resize(int width, int height) = 0;
  /// What the pictures to come show of more tokens than fit.
  virtual void scroll(const ScrollTokens&) {}
  /// A sentence (`say`, `ask`) of row `row` (1, 2, …) now stands on the screen. `viewer/run` without a
  /// display draws a picture here.
  virtual void row_shown(int row, const ViewState& view) = 0;
};

class Controller {
 public:
  explicit Controller(ControllerOptions options = {});
  ~Controller();  // cancels what is under way
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  void send(const Command& command);
  /// now_seconds: any clock that does not run backwards.
  Frame frame(double now_seconds);
  /// Waits for work under way, ends animations, and gives the state at rest.
  std::shared_ptr<const ViewState> settle();

  /// Waits for work under way, and no more: animations and scripts stay where they are.
  void finish_work();

  /// Plays a script in the window: a line when the one before is done. host must outlive it.
  /// instant: no waiting and no animation, for pictures and tests; see run_script.
  void play(Script script, ScriptHost* host, bool instant = false);
  bool script_running() const;
  /// 0 while running or when all went well; 1 when an expect failed; 2 for what could not be done.
  int script_exit_code() const;
  std::string script_error() const;  // one line; empty when all went well

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Plays a script without a window and without waiting: beats end at once, and where the user is waited for,
/// the script goes on. Returns the exit code; error gets the one line for stderr.
int run_script(Controller& controller, const Script& script, ScriptHost& host, std::string& error);

/// The state as JSON, for `state NAME.json`, tests and lessons; field names are those of the structs.
std::string to_json(const ViewState& view);

}  // namespace lastrow::view
