// Starts a thread that the program needs.
//
//   std::thread worker = start_thread<std::thread>("computes the steps", [this] { run(); });
//
// If the system cannot start it, the message says what the thread is for and what to do. Code that can work
// with fewer threads should create the thread itself and catch std::system_error.
#pragma once

#include <system_error>
#include <utility>

#include "core/error.h"

namespace lastrow {

/// What to do when the system starts no more threads or processes.
inline constexpr const char* kMoreThreads = "end other programs, or allow more processes with `ulimit -u`";

/// Thread is std::thread or std::jthread. Throws CapacityError "a thread that WHAT cannot be started (…): …".
template <typename Thread, typename Run>
Thread start_thread(const char* what, Run&& run) {
  try {
    return Thread(std::forward<Run>(run));
  } catch (const std::system_error& e) {
    throw CapacityError("a thread that {} cannot be started ({}): {}", what, e.code().message(),
                        kMoreThreads);
  }
}

}  // namespace lastrow
