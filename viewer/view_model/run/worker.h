// One thread that runs the sessions, so that drawing a frame never waits for a step.
//
//   Worker w;
//   w.want(goal);               runs it now: a different goal that runs or waits is superseded
//   if (auto o = w.take()) …    each frame; never blocks
//   w.wait();                   no window, or a test: waits until everything wanted is done
//
// A superseded goal ends within 100 ms, whatever it does (core/stop.h), and has no outcome. After a moment
// without work the thread gives freed memory back to the system.
//
// Invariant: at most one goal runs, and at most one waits.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "viewer/view_model/run/sessions.h"

namespace lastrow::view {

class Worker {
 public:
  Worker();
  ~Worker();  // cancels and joins
  void want(Goal goal);
  std::optional<Outcome> take();
  void wait();
  /// A goal runs or waits, or an outcome has not been taken yet.
  bool busy() const;
  /// Stops the goal that runs (its outcome says cancelled) and drops the goal that waits.
  void cancel();
  std::pair<std::string, double> progress() const { return progress_.get(); }

 private:
  void run();

  Progress progress_;
  Sessions sessions_{progress_};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Goal> running_, next_;
  std::optional<Outcome> done_;
  bool superseded_ = false;  // the outcome of running_ is not wanted any more
  bool quit_ = false;
  std::thread thread_;  // last: it starts when everything else exists
};

}  // namespace lastrow::view
