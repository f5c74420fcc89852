#include "backend/thread_pool.h"

#include <algorithm>
#include <system_error>

#include "core/stop.h"

namespace lastrow {

ThreadPool::ThreadPool(int32_t n_threads) {
  if (n_threads <= 0) n_threads = static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency()));
  workers_.reserve(static_cast<size_t>(n_threads - 1));
  try {
    for (int32_t i = 1; i < n_threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    // The system has no more threads. Those that run do all the items, so the results are the same.
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::for_each(int64_t n_items, FunctionRef<void(int64_t)> item) {
  if (workers_.empty() || n_items < 2) {
    for (int64_t i = 0; i < n_items; ++i) {
      stop_if_asked();
      item(i);
    }
    return;
  }
  const std::atomic<bool>* const stop = StopScope::flag();
  {
    const std::lock_guard lock(mutex_);
    item_ = &item;
    n_items_ = n_items;
    stop_ = stop;
    next_item_ = 0;
    ++loop_;
  }
  wake_.notify_all();
  run_items(item, n_items, stop);
  std::unique_lock lock(mutex_);
  item_ = nullptr;  // a worker that wakes now finds nothing to do, and this call does not wait for it
  done_.wait(lock, [this] { return busy_ == 0; });
  lock.unlock();
  stop_if_asked();
}

void ThreadPool::run_items(const FunctionRef<void(int64_t)>& item, int64_t n_items,
                           const std::atomic<bool>* stop) {
  const StopScope scope(stop);
  for (int64_t i; !is_set(stop) && (i = next_item_.fetch_add(1, std::memory_order_relaxed)) < n_items;)
    item(i);
}

void ThreadPool::work() {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || loop_ != seen; });
    if (stopping_) return;
    seen = loop_;
    if (item_ == nullptr) continue;
    ++busy_;
    // Read under the lock, because the caller clears item_ while the last items are still running.
    const FunctionRef<void(int64_t)>& item = *item_;
    const int64_t n_items = n_items_;
    const std::atomic<bool>* const stop = stop_;
    lock.unlock();
    run_items(item, n_items, stop);
    lock.lock();
    if (--busy_ == 0) done_.notify_one();
  }
}

}  // namespace lastrow
