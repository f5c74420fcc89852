// A measure of time that is not longer on a busy machine or with several threads.
#pragma once

#include <algorithm>
#include <chrono>
#include <ctime>

namespace lastrow::view {

class Stopwatch {
 public:
  /// The time on the clock, or the processor time of all threads, whichever is shorter.
  double seconds() const {
    const std::chrono::duration<double> clock = std::chrono::steady_clock::now() - clock_;
    return std::min(clock.count(), static_cast<double>(std::clock() - processor_) / CLOCKS_PER_SEC);
  }

 private:
  std::chrono::steady_clock::time_point clock_ = std::chrono::steady_clock::now();
  std::clock_t processor_ = std::clock();
};

}  // namespace lastrow::view
