// What the thread that works tells the thread that draws, and the other way round: stop.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>

namespace lastrow::view {

class Progress {
 public:
  /// fraction below 0: not known.
  void say(const std::string& text, double fraction);
  std::pair<std::string, double> get() const;
  std::atomic<bool> stop = false;  // asks the working thread to end; whoever set it takes it back

 private:
  mutable std::mutex mutex_;
  std::string text_;
  double fraction_ = -1;
};

}  // namespace lastrow::view
