#include "viewer/view_model/run/worker.h"

#include "core/start_thread.h"

namespace lastrow::view {

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
  for (;;) {
    changed_.wait(lock, [&] { return quit_ || next_; });
    if (quit_) return;
    running_ = std::move(next_);
    next_.reset();
    const Goal goal = *running_;
    superseded_ = progress_.stop = false;
    lock.unlock();
    Outcome outcome = sessions_.reach(goal);
    lock.lock();
    running_.reset();
    if (!superseded_) done_ = std::move(outcome);
    changed_.notify_all();
  }
}

}  // namespace lastrow::view
