// Work that another thread can stop.
//
//   std::atomic<bool> stop = false;    any thread may set it at any time
//   {
//     const StopScope scope(&stop);    until the scope ends, the flag can stop the work of this thread
//     …stop_if_asked();…               between pieces of work of a few milliseconds: throws Cancelled
//   }
//
// The flag belongs to the thread that opened the scope. A ThreadPool passes it on to its workers, and the
// emulated GPU to its blocks. Do not open a scope around code that cleans up: the flag would stop it, too.
// Scopes can be nested; the inner one counts.
#pragma once

#include <atomic>

#include "core/error.h"

namespace lastrow {

/// Thrown by work that was asked to stop. Its outputs are undefined: abort the step.
struct Cancelled : Error {
  using Error::Error;
};

class StopScope {
 public:
  /// nullptr: the work in this scope is never stopped.
  explicit StopScope(const std::atomic<bool>* flag) : outer_(t_flag) { t_flag = flag; }
  ~StopScope() { t_flag = outer_; }
  StopScope(const StopScope&) = delete;
  StopScope& operator=(const StopScope&) = delete;

  /// The flag of this thread; nullptr: none.
  static const std::atomic<bool>* flag() { return t_flag; }

 private:
  static inline constinit thread_local const std::atomic<bool>* t_flag = nullptr;
  const std::atomic<bool>* outer_;
};

inline bool is_set(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}
inline bool asked_to_stop() { return is_set(StopScope::flag()); }
/// Costs about a nanosecond.
inline void stop_if_asked() {
  if (asked_to_stop()) [[unlikely]]
    throw Cancelled("cancelled: nothing has changed");
}

}  // namespace lastrow
