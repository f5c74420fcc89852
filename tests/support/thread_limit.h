// Limits how many more threads the program can start, as on a system that has no more threads.
//
//   const ThreadLimit limit(2);    until the end of the scope two threads can start, and the third fails
//
// Include it in one source file of a test program only, because it replaces pthread_create.
#pragma once

#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <limits>

namespace lastrow::testing {

inline constexpr int kNoLimit = std::numeric_limits<int>::max();
inline std::atomic<int> g_threads_left = kNoLimit;

class ThreadLimit {
 public:
  explicit ThreadLimit(int n_threads) { g_threads_left = n_threads; }
  ~ThreadLimit() { g_threads_left = kNoLimit; }
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;
};

}  // namespace lastrow::testing

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                              void* argument) noexcept {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  std::atomic<int>& left = lastrow::testing::g_threads_left;
  if (left != lastrow::testing::kNoLimit && left-- <= 0) return EAGAIN;
  return create(thread, attributes, start, argument);
}
