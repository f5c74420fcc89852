// Ends the process if the device does not answer. A call that waits for a hanging kernel never returns.
//
//   Watchdog watchdog(10.0);                                  seconds; 0: never
//   { const auto watch = watchdog.watch("k06 at bf16, heads 8:2, …");  … work on the device … }
//
// When the time is over, it says what was running and ends the process with kExitDeviceLost. It runs no
// destructors, because they would wait for the device too. Whatever must survive must be on the disk before.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace lastrow::driver {

/// Exit status of a process that cannot go on because of the device. A new process can.
inline constexpr int kExitDeviceLost = 3;

class Watchdog {
 public:
  explicit Watchdog(double seconds);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// The time runs while this object lives. Only one at a time.
  class Watch {
   public:
    explicit Watch(Watchdog& watchdog) : watchdog_(watchdog) {}
    ~Watch() { watchdog_.stop(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

   private:
    Watchdog& watchdog_;
  };
  [[nodiscard]] Watch watch(const std::string& what);

 private:
  using Clock = std::chrono::steady_clock;
  void stop();
  void run(const std::stop_token& ended);

  const std::chrono::duration<double> patience_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::string what_;
  Clock::time_point deadline_ = Clock::time_point::max();
  std::jthread thread_;  // last, because it uses the members above
};

}  // namespace lastrow::driver
