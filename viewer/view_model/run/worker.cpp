#include "viewer/view_model/run/worker.h"

#include <chrono>
#include <cstdlib>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "core/start_thread.h"

namespace lastrow::view {

namespace {

constexpr std::chrono::milliseconds kIdle{200};

/// Gives freed memory back to the system, because the C library keeps it for later.
void give_back_freed_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

Worker::Worker() : thread_(start_thread<std::thread>("computes the steps", [this] { run(); })) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
    next_.reset();
    progress_.stop = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Worker::want(Goal goal) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ && *running_ == goal && !progress_.stop) {
      next_.reset();
      return;
    }
    if (running_) superseded_ = progress_.stop = true;
    next_ = std::move(goal);
  }
  changed_.notify_all();
}

std::optional<Outcome> Worker::take() {
  const std::lock_guard lock(mutex_);
  std::optional<Outcome> out;
  std::swap(out, done_);
  return out;
}

bool Worker::busy() const {
  const std::lock_guard lock(mutex_);
  return running_ || next_ || done_;
}

void Worker::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !running_ && !next_; });
}

void Worker::cancel() {
  const std::lock_guard lock(mutex_);
  next_.reset();
  superseded_ = false;
  if (running_) progress_.stop = true;  // run() takes it back when the next goal starts
}

void Worker::run() {
  std::unique_lock lock(mutex_);
  bool has_freed = false;
  for (;;) {
    const auto called = [&] { return quit_ || next_; };
    if (has_freed && !changed_.wait_for(lock, kIdle, called)) {
      lock.unlock();
      give_back_freed_memory();
      lock.lock();
    }
    has_freed = false;
    changed_.wait(lock, called);
    if (quit_) return;
    running_ = std::move(next_);
    next_.reset();
    const Goal goal = *running_;
    superseded_ = progress_.stop = false;
    lock.unlock();
    Outcome outcome = sessions_.reach(goal);
    lock.lock();
    running_.reset();
    has_freed = true;
    if (!superseded_) done_ = std::move(outcome);
    changed_.notify_all();
  }
}

}  // namespace lastrow::view
