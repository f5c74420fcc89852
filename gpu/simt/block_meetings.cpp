// Block: where threads wait for each other, and what is reported if a thread is missing.
#include <bit>

#include "gpu/simt/block.h"
#include "gpu/simt/block_slot.h"

namespace lastrow::simt {

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
    const Thread& other = thread_of(rank);
    if (!(other.where == here))
      fail(Finding::barrier_not_reached, self(), here,
           fmt::format("thread {} waits in another __syncthreads, {}: move it out of the branch",
                       other.index.to_string(), other.where.to_string()));
  }
  for (int32_t rank = 0; rank < n_threads_; ++rank) thread_of(rank).wait = Wait::none;
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

/// All lanes of the warp that still run have come.
/// These instructions need all 32 lanes, and all at the same instruction.
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
                       name_of(last.wait), l, other.where.to_string()));
    brought[l] = other.brought;
  }
  last.exchange(brought);
}

/// Ends the meeting that `thread` waits in, if all lanes have come:
/// gives each lane its value and lets it go on.
bool Block::complete_meeting(Thread& thread) {
  const int32_t warp = thread.warp;
  const uint32_t present = thread.mask & live_[warp];
  // Check the highest lane first: lanes run in order, so if a lane is missing, it is usually the highest one.
  for (uint32_t lanes = present; lanes != 0; lanes &= ~std::bit_floor(lanes)) {
    const Thread& other = lane(warp, std::bit_width(lanes) - 1);
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
    other.wait = Wait::none;
  }
  runnable_[warp] |= present;
  if (observer_ != nullptr) observer_->lanes_met(warp, kind, present, thread.where);
  return true;
}

// ---- findings

void Block::fail(Finding finding, const Thread& thread, Here here, const std::string& what) const {
  throw SimtError(finding,
                  fmt::format("{}, block {}, thread {}, {}: {}: {}", launch_->kernel, index_.to_string(),
                              thread.index.to_string(), here.to_string(), simt::name_of(finding), what));
}

std::string Block::whereabouts(const Thread& thread) const {
  if (thread.wait == Wait::returned) return "has returned";
  const std::string place = fmt::format("waits in {} at {}", name_of(thread.wait), thread.where.to_string());
  return thread.wait == Wait::barrier ? place : fmt::format("{} with mask {:#010x}", place, thread.mask);
}

/// No thread can go on. A meeting that lacks a lane is reported before a barrier, which may only wait for it.
void Block::report_deadlock() {
  for (int32_t rank = 0; rank < n_threads_; ++rank) {
    const Thread& t = thread_of(rank);
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
    const Thread& t = thread_of(rank);
    const Thread*& kind = t.wait == Wait::barrier ? waiting : missing;
    if (kind == nullptr) kind = &t;
  }
  LASTROW_CHECK(waiting != nullptr && missing != nullptr, "nobody runs and nobody waits");
  fail(Finding::barrier_not_reached, *waiting, waiting->where,
       fmt::format("{} of {} threads wait in __syncthreads; thread {} {}", n_at_barrier_, n_threads_,
                   missing->index.to_string(), whereabouts(*missing)));
}

}  // namespace lastrow::simt
