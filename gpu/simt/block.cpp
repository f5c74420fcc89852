#include "gpu/simt/block.h"

#include <bit>
#include <cstring>

#include "core/stop.h"
#include "gpu/simt/block_slot.h"

namespace lastrow::simt {
namespace {

constexpr int64_t kMaxStaticBytes = 48 << 10;  // nvcc's limit for static shared arrays
constexpr int64_t kAlignment = 16;             // of a shared array: the widest vector access

}  // namespace

constinit thread_local Thread* t_self = nullptr;

Block::Block() : shared_(std::make_unique_for_overwrite<std::byte[]>(kMaxStaticBytes + kMaxSharedBytes)) {}

Block::~Block() {
  ending_ = true;
  for (auto& slot : slots_) slot->fiber.resume();  // a fiber that never began ends without calling a body
}

void Block::prepare(int64_t n_threads) {
  n_threads_ = static_cast<int32_t>(n_threads);
  n_returned_ = n_at_barrier_ = 0;
  static_bytes_ = dynamic_bytes_ = 0;
  failure_ = nullptr;
  abandoned_ = false;
  arrays_.clear();
  const auto n_warps = static_cast<size_t>((n_threads_ + kWarpSize - 1) / kWarpSize);
  live_.assign(n_warps, ~0u);
  if (n_threads_ % kWarpSize != 0) live_.back() = (1u << (n_threads_ % kWarpSize)) - 1u;
  runnable_ = live_;
  while (static_cast<int32_t>(slots_.size()) < n_threads_) slots_.push_back(std::make_unique<Slot>(*this));
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    Thread& t = slots_[rank]->thread;
    t.index = launch_->block.at(rank);
    t.rank = rank;
    t.warp = rank / kWarpSize;
    t.lane = rank % kWarpSize;
    t.observer = observer_;
    t.wait = Wait::none;
    t.n_arrays = 0;
    slots_[rank]->begun = false;
  }
}

void Block::run(const Launch& launch, Dim3 index, FunctionRef<void()> body, Observer* observer) {
  launch_ = &launch;
  index_ = index;
  body_ = &body;
  observer_ = observer;
  prepare(launch.block.size());
  if (observer_ != nullptr) observer_->block_begins(*this, n_threads_);
  Thread* const outer = t_self;
  while (n_returned_ < n_threads_ && !failure_) {
    bool progress = false;
    for (int32_t warp = 0; warp < static_cast<int32_t>(runnable_.size()) && !failure_; ++warp)
      if (runnable_[warp] != 0) {
        progress = true;
        run_warp(warp);
      }
    if (!progress) keep_failure([&] { report_deadlock(); });
    if (asked_to_stop()) keep_failure([] { stop_if_asked(); });
  }
  if (failure_) abandon();
  t_self = outer;
  if (failure_) std::rethrow_exception(failure_);
  if (observer_ != nullptr) observer_->block_ends();
}

/// Lets the lanes of a warp run, lowest first, until each waits or has returned.
void Block::run_warp(int32_t warp) {
  while (runnable_[warp] != 0 && !failure_) {
    Slot& slot = *slots_[warp * kWarpSize + std::countr_zero(runnable_[warp])];
    t_self = &slot.thread;
    slot.fiber.resume();
    if (slot.thread.wait != Wait::returned) continue;
    const uint32_t bit = 1u << slot.thread.lane;
    runnable_[warp] &= ~bit;
    live_[warp] &= ~bit;
    ++n_returned_;
    // A thread that waits for the lanes of a mask does not wait for a lane that has returned.
    for (uint32_t lanes = live_[warp] & ~runnable_[warp]; lanes != 0 && !failure_; lanes &= lanes - 1) {
      Thread& other = lane(warp, std::countr_zero(lanes));
      if (other.wait == Wait::barrier || other.wait == Wait::none) continue;
      keep_failure([&] { complete_meeting(other); });
    }
  }
}

/// An error outside of all threads ends the block like an error in one of them.
void Block::keep_failure(FunctionRef<void()> step) {
  try {
    step();
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Block::wait(Thread& thread) {
  runnable_[thread.warp] &= ~(1u << thread.lane);
  Fiber::suspend();
  if (abandoned_) throw Abandoned{};
}

const SharedArray& Block::declare_shared(const char* name, int64_t n, int32_t elem_bytes, bool dynamic,
                                         Here here) {
  Thread& thread = self();
  const int32_t i = thread.n_arrays++;
  if (i < static_cast<int32_t>(arrays_.size())) {
    const SharedArray& array = arrays_[i];
    if (array.n != n || array.elem_bytes != elem_bytes || std::strcmp(array.name, name) != 0)
      fail(Finding::shared_layout, thread, here,
           fmt::format(
               "declares {}[{}] where another thread of the block declared {}[{}]: declare shared arrays "
               "outside branches, with sizes that all threads agree on",
               name, n, array.name, array.n));
    return array;
  }
  int64_t& used = dynamic ? dynamic_bytes_ : static_bytes_;
  const int64_t limit = dynamic ? launch_->shared_bytes : kMaxStaticBytes;
  const int64_t begin = (used + kAlignment - 1) / kAlignment * kAlignment;
  if (n < 0 || begin + n * elem_bytes > limit)
    fail(Finding::shared_layout, thread, here,
         fmt::format("{}[{}] ends at byte {} of {} shared memory, but {} bytes {}", name, n,
                     begin + n * elem_bytes, dynamic ? "dynamic" : "static", limit,
                     dynamic ? "were given at the launch: pass more" : "are the limit: use dynamic arrays"));
  used = begin + n * elem_bytes;
  std::byte* data = shared_.get() + (dynamic ? kMaxStaticBytes : 0) + begin;
  std::memset(data, 0xFF, static_cast<size_t>(n * elem_bytes));  // NaN, so a read before a write shows
  arrays_.reserve(64);                                           // so references to earlier arrays stay valid
  LASTROW_CHECK(arrays_.size() < 64, "a kernel with more than 64 shared arrays");
  arrays_.push_back({i, name, data, n, elem_bytes, dynamic});
  if (observer_ != nullptr) observer_->shared_declared(arrays_.back());
  return arrays_.back();
}

/// Unwinds every thread that has not returned.
void Block::abandon() {
  abandoned_ = true;
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    Slot& slot = *slots_[rank];
    if (!slot.begun || slot.thread.wait == Wait::returned) continue;
    t_self = &slot.thread;
    slot.fiber.resume();
  }
}

}  // namespace lastrow::simt
