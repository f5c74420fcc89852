// The two messages between the thread that works and the thread that draws.
//
//   progress.start("Starting eigen");              the working thread: begins all later texts; "": nothing
//   progress.say("Running decode 12 …", 0.4);      the working thread, as often as it likes
//   progress.get()                                 the drawing thread: the last text and fraction
//   progress.stop = true;                          the drawing thread asks the working thread to stop
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

namespace lastrow::view {

class Progress {
 public:
  void start(const std::string& what);
  /// Changes the fraction alone.
  void advance(double fraction);
  /// fraction below 0: not known.
  void say(const std::string& text, double fraction);
  std::pair<std::string, double> get() const;
  std::atomic<bool> stop = false;  // asks the working thread to end; the class that sets it clears it

 private:
  mutable std::mutex mutex_;
  std::string started_, text_;
  double fraction_ = -1;
};

}  // namespace lastrow::view
