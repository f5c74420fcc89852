// A few threads that share the items of one loop, and sleep between loops.
//
//   ThreadPool pool(n_threads);                   0: one thread for each core
//   pool.for_each(n_items, [&](int64_t i) {…});   any order, any thread; returns when all items are done
//
// * Items must not throw, and must not call for_each.
// * Only one thread at a time may call for_each.
//
// for_each listens to the caller's StopScope (core/stop.h), and so do the items, on every thread. If it is
// asked to stop, it leaves out the items that have not begun and throws Cancelled.
//
// If the system cannot start so many threads, the pool has fewer. It allocates nothing after construction. A
// waiting thread sleeps and does not spin, because on a busy machine a spinning thread slows down the others.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "core/function_ref.h"

namespace lastrow {

class ThreadPool {
 public:
  explicit ThreadPool(int32_t n_threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int32_t n_threads() const { return static_cast<int32_t>(workers_.size()) + 1; }
  void for_each(int64_t n_items, FunctionRef<void(int64_t)> item);

 private:
  void work();
  void run_items(const FunctionRef<void(int64_t)>& item, int64_t n_items, const std::atomic<bool>* stop);

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const FunctionRef<void(int64_t)>* item_ = nullptr;  // of the current loop; nullptr: all items are taken
  int64_t n_items_ = 0;
  const std::atomic<bool>* stop_ = nullptr;  // the flag of the caller's StopScope
  std::atomic<int64_t> next_item_ = 0;
  int32_t busy_ = 0;   // workers that run items of the current loop
  uint64_t loop_ = 0;  // counts the loops, so that a worker joins each loop once
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace lastrow
