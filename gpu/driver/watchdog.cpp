#include "gpu/driver/watchdog.h"

#include <fmt/format.h>

#include <cstdlib>

#include "core/start_thread.h"
#include "gpu/driver/output.h"

namespace lastrow::driver {

Watchdog::Watchdog(double seconds) : patience_(seconds) {
  if (seconds > 0)
    thread_ = start_thread<std::jthread>("watches for a GPU that does not answer",
                                         [this](const std::stop_token& ended) { run(ended); });
}

Watchdog::~Watchdog() = default;

Watchdog::Watch Watchdog::watch(const std::string& what) {
  const std::lock_guard lock(mutex_);
  what_ = what;
  deadline_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(patience_);
  changed_.notify_all();
  return Watch(*this);
}

void Watchdog::stop() {
  const std::lock_guard lock(mutex_);
  deadline_ = Clock::time_point::max();
}

void Watchdog::run(const std::stop_token& ended) {
  std::unique_lock lock(mutex_);
  while (!ended.stop_requested()) {
    const bool watching = deadline_ != Clock::time_point::max();
    if (watching && Clock::now() >= deadline_) {
      say(fmt::format("{}: no answer for {:g} s; this process ends\n", what_, patience_.count()));
      std::_Exit(kExitDeviceLost);
    }
    if (watching)
      changed_.wait_until(lock, ended, Clock::time_point(deadline_), [] { return false; });
    else
      changed_.wait(lock, ended, [this] { return deadline_ != Clock::time_point::max(); });
  }
}

}  // namespace lastrow::driver
