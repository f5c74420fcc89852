#include "gpu/simt/block.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace lastrow::simt {
namespace {

constexpr int64_t kMaxStaticBytes = 48 << 10;  // what nvcc accepts without being asked for more
constexpr int64_t kAlignment = 16;             // of a shared array: the widest vector access

/// Thrown in threads that wait when the launch has failed, to unwind them.
struct Abandoned {};

const char* name_of(Wait wait) {
  switch (wait) {
    case Wait::barrier:
      return "__syncthreads";
    case Wait::shuffle:
      return "a shuffle";
    case Wait::vote:
      return "a vote";
    case Wait::warp_sync:
      return "__syncwarp";
    case Wait::mma:
      return "mma.sync";
    case Wait::ldmatrix:
      return "ldmatrix";
    default:
      return "nothing";
  }
}

std::string at(Here here) { return fmt::format("{}:{}", here.name(), here.line); }

}  // namespace

constinit thread_local Thread* t_self = nullptr;

struct Block::Slot {
  explicit Slot(Block& block) : owner(block), fiber(&Slot::main, this) { thread.block = &block; }

  /// Runs the body once per launch, for as long as the block lives.
  static void main(void* slot) {
    auto& [owner, thread, fiber, begun] = *static_cast<Slot*>(slot);
    while (!owner.ending_) {
      begun = true;
      try {
        (*owner.body_)();
      } catch (const Abandoned&) {
      } catch (...) {
        if (!owner.failure_) owner.failure_ = std::current_exception();
      }
      thread.wait = Wait::returned;
      Fiber::suspend();
    }
  }

  Block& owner;
  Thread thread;
  Fiber fiber;
  bool begun = false;  // the body of the block at hand
};

Block::Block() : shared_(std::make_unique_for_overwrite<std::byte[]>(kMaxStaticBytes + kMaxSharedBytes)) {}

Block::~Block() {
  ending_ = true;
  for (auto& slot : slots_) slot->fiber.resume();  // one that never began ends without calling a body
}

Thread& Block::lane(int32_t warp, int32_t lane) { return slots_[warp * kWarpSize + lane]->thread; }

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
    // Those who wait for the lanes of a mask do not wait for one that has returned.
    for (uint32_t lanes = live_[warp] & ~runnable_[warp]; lanes != 0 && !failure_; lanes &= lanes - 1) {
      Thread& other = lane(warp, std::countr_zero(lanes));
      if (other.wait == Wait::barrier || other.wait == Wait::none) continue;
      keep_failure([&] { complete_meeting(other); });
    }
  }
}

/// What goes wrong outside of any thread ends the block as if it had gone wrong in one.
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

void Block::barrier(Here here) {
  Thread& thread = self();
  thread.wait = Wait::barrier;
  thread.where = here;
  if (++n_at_barrier_ == n_threads_)
    release_barrier();
  else
    wait(thread);
}

void Block::release_barrier() {
  const Here here = self().where;
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    const Thread& other = slots_[rank]->thread;
    if (!(other.where == here))
      fail(Finding::barrier_not_reached, self(), here,
           fmt::format("thread {} waits in another __syncthreads, {}: move it out of the branch",
                       other.index.to_string(), at(other.where)));
  }
  for (int32_t rank = 0; rank < n_threads_; ++rank) slots_[rank]->thread.wait = Wait::none;
  runnable_ = live_;
  n_at_barrier_ = 0;
  if (observer_ != nullptr) observer_->barrier_passed(here);
}

uint64_t Block::meet(Wait kind, uint32_t mask, uint64_t value, int32_t source_lane, Here here) {
  Thread& thread = self();
  if ((mask >> thread.lane & 1u) == 0)
    fail(Finding::absent_lane, thread, here,
         fmt::format("lane {} takes part in {} whose mask {:#010x} does not name it", thread.lane,
                     name_of(kind), mask));
  thread.wait = kind;
  thread.where = here;
  thread.mask = mask;
  thread.value = value;
  thread.source_lane = source_lane;
  if (!complete_meeting(thread)) wait(thread);
  return thread.value;
}

void Block::meet_all(Wait kind, Exchange exchange, void* brought, Here here) {
  Thread& thread = self();
  thread.wait = kind;
  thread.where = here;
  thread.mask = ~0u;
  thread.exchange = exchange;
  thread.brought = brought;
  if (!complete_meeting(thread)) wait(thread);
}

/// All of the warp that still run have come. These instructions take 32 lanes, and all 32 in the same one.
void Block::exchange_all(const Thread& last) {
  void* brought[kWarpSize];
  for (int32_t l = 0; l < kWarpSize; ++l) {
    if ((live_[last.warp] >> l & 1u) == 0)
      fail(Finding::absent_lane, last, last.where,
           fmt::format("{} takes all 32 lanes of a warp, but lane {} has returned or does not exist",
                       name_of(last.wait), l));
    const Thread& other = lane(last.warp, l);
    if (other.exchange != last.exchange || !(other.where == last.where))
      fail(Finding::absent_lane, last, last.where,
           fmt::format("{} takes all 32 lanes of a warp in one instruction, but lane {} waits in another, {}",
                       name_of(last.wait), l, at(other.where)));
    brought[l] = other.brought;
  }
  last.exchange(brought);
}

/// Ends the meeting that `thread` waits in, if all have come: gives each its value and lets it go on.
bool Block::complete_meeting(Thread& thread) {
  const int32_t warp = thread.warp;
  const uint32_t present = thread.mask & live_[warp];
  for (uint32_t lanes = present; lanes != 0; lanes &= lanes - 1) {
    const Thread& other = lane(warp, std::countr_zero(lanes));
    if (other.wait != thread.wait || other.mask != thread.mask) return false;
  }
  const Wait kind = thread.wait;
  if (kind == Wait::mma || kind == Wait::ldmatrix) exchange_all(thread);
  uint64_t values[kWarpSize] = {}, ballot = 0;
  for (uint32_t lanes = present; lanes != 0; lanes &= lanes - 1) {
    const int32_t l = std::countr_zero(lanes);
    values[l] = lane(warp, l).value;
    ballot |= uint64_t{values[l] != 0} << l;
  }
  for (uint32_t lanes = present; lanes != 0; lanes &= lanes - 1) {
    Thread& other = lane(warp, std::countr_zero(lanes));
    if (kind == Wait::shuffle && (present >> other.source_lane & 1u) == 0)
      fail(Finding::absent_lane, other, other.where,
           fmt::format("lane {} takes the value of lane {}, which {}", other.lane, other.source_lane,
                       (other.mask >> other.source_lane & 1u) != 0
                           ? "has returned or does not exist"
                           : fmt::format("mask {:#010x} does not name", other.mask)));
    other.value = kind == Wait::shuffle ? values[other.source_lane] : ballot;
  }
  for (uint32_t lanes = present; lanes != 0; lanes &= lanes - 1)
    lane(warp, std::countr_zero(lanes)).wait = Wait::none;
  runnable_[warp] |= present;
  if (observer_ != nullptr) observer_->lanes_met(warp, kind, present, thread.where);
  return true;
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
  std::memset(data, 0xFF,
              static_cast<size_t>(n * elem_bytes));  // NaN, so that nothing good comes of reading it
  arrays_.reserve(64);                               // references to earlier ones stay good
  LASTROW_CHECK(arrays_.size() < 64, "a kernel with more than 64 shared arrays");
  arrays_.push_back({i, name, data, n, elem_bytes, dynamic});
  if (observer_ != nullptr) observer_->shared_declared(arrays_.back());
  return arrays_.back();
}

void Block::fail(Finding finding, const Thread& thread, Here here, const std::string& what) const {
  throw SimtError(finding,
                  fmt::format("{}, block {}, thread {}, {}: {}: {}", launch_->kernel, index_.to_string(),
                              thread.index.to_string(), at(here), simt::name_of(finding), what));
}

std::string Block::whereabouts(const Thread& thread) const {
  if (thread.wait == Wait::returned) return "has returned";
  const std::string place = fmt::format("waits in {} at {}", name_of(thread.wait), at(thread.where));
  return thread.wait == Wait::barrier ? place : fmt::format("{} with mask {:#010x}", place, thread.mask);
}

/// Nobody can go on. A meeting that lacks a lane is named first: a barrier may only be waiting for it.
void Block::report_deadlock() {
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    const Thread& t = slots_[rank]->thread;
    if (t.wait == Wait::returned || t.wait == Wait::barrier) continue;
    for (uint32_t lanes = t.mask & live_[t.warp]; lanes != 0; lanes &= lanes - 1) {
      const Thread& other = lane(t.warp, std::countr_zero(lanes));
      if (other.wait == t.wait && other.mask == t.mask) continue;
      fail(Finding::absent_lane, t, t.where,
           fmt::format("{} with mask {:#010x} waits for lane {}, which {}", name_of(t.wait), t.mask,
                       other.lane, whereabouts(other)));
    }
  }
  const Thread *waiting = nullptr, *missing = nullptr;
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    const Thread& t = slots_[rank]->thread;
    const Thread*& kind = t.wait == Wait::barrier ? waiting : missing;
    if (kind == nullptr) kind = &t;
  }
  LASTROW_CHECK(waiting != nullptr && missing != nullptr, "nobody runs and nobody waits");
  fail(Finding::barrier_not_reached, *waiting, waiting->where,
       fmt::format("{} of {} threads wait in __syncthreads; thread {} {}", n_at_barrier_, n_threads_,
                   missing->index.to_string(), whereabouts(*missing)));
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
