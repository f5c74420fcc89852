// A few threads that share the items of one loop, and sleep between loops.
//
//   ThreadPool pool(n_threads);                 0: one a core; fewer where no more can be started
//   pool.for_each(n_items, [&](int64_t i) {…}); returns when all are done; in any order, by any thread
//
// * Items must not throw and must not call for_each.
// * One caller at a time.
// It allocates nothing after construction. Waiting is passive: on a machine whose cores are busy a spinning
// thread takes away the time that it waits for.
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
  void run_items(const FunctionRef<void(int64_t)>& item, int64_t n_items);

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const FunctionRef<void(int64_t)>* item_ = nullptr;  // of the loop that may still be joined
  int64_t n_items_ = 0;
  std::atomic<int64_t> next_item_ = 0;
  int32_t busy_ = 0;   // workers that are at the current loop's items
  uint64_t loop_ = 0;  // counts loops, so that each worker joins each one once
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace lastrow
