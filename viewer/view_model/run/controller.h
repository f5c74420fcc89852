// The controller: takes commands, owns the sessions and their thread, and returns what to draw.
//
//   Controller c(options);                 starts the first step on its own thread; returns at once
//   c.send(ChangeBeat{+1});                from the thread that draws; never blocks
//   Frame f = c.frame(now_seconds);        every frame, same thread; never blocks; time moves only here
//   c.settle();                            no window, or a test: waits for work, ends every animation
//   c.play(script, &host); … c.script_exit_code();
//
// Never call it from two threads. Loading, prefill and decode run on the controller's own thread, with
// progress and cancel in ViewState::busy; everything else happens in frame(). Invariant: a ViewState shows
// one whole finished step; work that is under way or was cancelled does not change it.
#pragma once

#include <memory>
#include <string>

#include "cache/make_cache.h"
#include "model/sampler.h"
#include "viewer/view_model/script/script.h"
#include "viewer/view_model/script/script_host.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

struct ControllerOptions {
  std::string model = "fable-mha";
  std::string prompt = "the quick brown fox";
  std::string backend = "eigen";
  SamplingOptions sampling{};  // temperature 0: greedy
  CacheOptions cache{};        // of the side with the cache
  int step = 4;                // the decode step to open on; 0: prefill
  Theme theme = Theme::light;
  double speed = 1;
  bool reduced_motion = false;
  bool offer_tour = true;
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
  /// Waits for work under way, ends animations, and returns the state at rest.
  std::shared_ptr<const ViewState> settle();
  /// Only waits for work under way: animations and scripts stay where they are.
  void finish_work();

  /// Plays a script in the window: each line starts when the line before it is done. host must outlive it.
  /// When it is over, Enter plays it again from its beginning, paused.
  /// instant: no waiting and no animation, for pictures and tests; see run_script.h.
  void play(Script script, ScriptHost* host, bool instant = false);
  bool script_running() const;
  /// 0 while the script runs or if all went well; 1 if an `expect` failed; 2 if a line was not possible.
  int script_exit_code() const;
  std::string script_error() const;  // one line; empty when all went well

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lastrow::view
