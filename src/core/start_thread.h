// A thread that the program cannot do without.
//
//   std::thread worker = start_thread<std::thread>("computes the steps", [this] { run(); });
//
// Where the system gives no more threads, the message says which one is missing and what to do. A program that
// can do with fewer catches std::system_error itself, and works on.
#pragma once

#include <system_error>
#include <utility>

#include "core/error.h"

namespace lastrow {

/// What to do where no thread or process can be started.
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
