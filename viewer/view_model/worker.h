// One thread that runs a Stage, so that no step ever holds up a frame.
//
//   Worker w;
//   w.want(goal);                    the newest goal wins; a running one is finished first
//   if (auto o = w.take()) …         each frame; never blocks
//   w.wait();                        headless and tests: until everything wanted is done
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "viewer/view_model/stage.h"

namespace lastrow::view {

class Worker {
 public:
  Worker();
  ~Worker();  // cancels and joins
  void want(Goal goal);
  std::optional<Outcome> take();
  void wait();
  /// Something runs, waits, or has come and not been taken.
  bool busy() const;
  /// Stops what runs and drops what waits; their outcome says cancelled.
  void cancel();
  std::pair<std::string, double> progress() const { return progress_.get(); }

 private:
  void run();

  Progress progress_;
  Stage stage_{progress_};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Goal> next_;
  std::optional<Outcome> done_;
  bool running_ = false, quit_ = false;
  std::thread thread_;  // last: starts when all else is there
};

}  // namespace lastrow::view
