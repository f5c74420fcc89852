#include "gpu/simt/races.h"

#include <algorithm>
#include <bit>

namespace lastrow::simt {
namespace {

const char* verb(Access access) {
  switch (access) {
    case Access::load:
      return "reads";
    case Access::store:
      return "writes";
    case Access::copy:
      return "copies to";
    default:
      return "adds to";
  }
}

}  // namespace

void RaceDetector::block_begins(const Block& block, int32_t n_threads) {
  block_ = &block;
  phase_ = 1;
  ++n_blocks_;
  clocks_.assign(static_cast<size_t>(n_threads), Clock{});
  global_.clear(n_threads);
}

void RaceDetector::shared_declared(const SharedArray& array) {
  const auto order = static_cast<size_t>(array.order);
  if (order == shadow_.size()) shadow_.emplace_back();
  const auto n = static_cast<size_t>(array.n);
  // It only grows, so lists of readers keep their memory.
  if (shadow_[order].size() < n) shadow_[order].resize(n);
}

void RaceDetector::report(const Record& before, const Visit& visit) const {
  const bool same_warp = before.rank() / kWarpSize == visit.thread.warp;
  const Here here = places_.at(before.place());
  block_->fail(
      visit.race, visit.thread, places_.at(visit.now.place()),
      fmt::format("{} {}[{}], which thread {} {} at {}:{}, with no {} between", verb(visit.now.access()),
                  visit.array, visit.i, block_->launch().block.at(before.rank()).to_string(),
                  verb(before.access()), here.name(), here.line,
                  same_warp ? "__syncwarp or __syncthreads" : "__syncthreads"));
}

/// Checks the visit against all accesses that it could race with, and records it.
void RaceDetector::pass(History& history, const Visit& visit) const {
  check(history.writer, visit);
  if (visit.now.access() == Access::load) return history.read(visit.now);
  for (const Record& reader : history.readers) check(reader, visit);
  history.written(visit.now);
}

void RaceDetector::refuse_while_copying(const Record& copy, const char* direction, const Visit& visit) const {
  const Here here = places_.at(copy.place());
  block_->fail(visit.race, visit.thread, places_.at(visit.now.place()),
               fmt::format("{} {}[{}], {} which thread {} began a copy at {}:{} that has not been waited for",
                           verb(visit.now.access()), visit.array, visit.i, direction,
                           block_->launch().block.at(copy.rank()).to_string(), here.name(), here.line));
}

void RaceDetector::copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                               Here here) {
  const Record now = make_record(thread, Access::copy, here);
  for (int64_t i = first; i < first + n; ++i) {
    Element& at = element(array, i);
    const Visit visit{thread, now, Finding::shared_race, array.name, i};
    if (!at.copying.none()) refuse_while_copying(at.copying, "to", visit);
    check(at.history.writer, visit);
    for (const Record& reader : at.history.readers) check(reader, visit);
    at.copying = now;
  }
}

void RaceDetector::shared(const Thread& thread, Access access, const SharedArray& array, int64_t first,
                          int32_t n, Here here) {
  const Record now = make_record(thread, access, here);
  for (int64_t i = first; i < first + n; ++i) {
    Element& at = element(array, i);
    const Visit visit{thread, now, Finding::shared_race, array.name, i};
    if (access == Access::copy)
      at.copying.clear();
    else if (!at.copying.none())
      refuse_while_copying(at.copying, "to", visit);
    if ((access == Access::load || access == Access::atomic) && at.history.writer.none())
      block_->fail(Finding::uninitialised_shared, thread, here,
                   fmt::format("{} {}[{}], which no thread has written", verb(access), array.name, i));
    pass(at.history, visit);
  }
}

void RaceDetector::global(const Thread& thread, Access access, const GlobalArray& array, int64_t first,
                          int32_t n, Here here) {
  if (array.writable)
    global_.follow(array);
  else if (!global_.follows(array))
    return;
  const Record now = make_record(thread, access, here);
  if (access != Access::load)
    if (const Record* copy = global_.holder(array.address(first), array.address(first + n)))
      refuse_while_copying(*copy, "from", {thread, now, Finding::global_race, array.name, first});
  for (int64_t i = first; i < first + n; ++i)
    pass(global_.history(array.address(i)), {thread, now, Finding::global_race, array.name, i});
}

void RaceDetector::source_held(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                               Here here) {
  global_.hold(make_record(thread, Access::load, here), array.address(first), array.address(first + n));
}

/// The copy may have read its source just now: later writes must be ordered after this.
void RaceDetector::source_released(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                                   Here here) {
  global_.release(thread.rank);
  global(thread, Access::load, array, first, n, here);
}

void RaceDetector::barrier_passed(Here) { ++phase_; }

void RaceDetector::lanes_met(int32_t warp, Wait kind, uint32_t mask, Here) {
  if (kind != Wait::warp_sync) return;
  uint32_t known[kWarpSize] = {};  // all that the lanes know together
  for (uint32_t lanes = mask; lanes != 0; lanes &= lanes - 1) {
    const int32_t lane = std::countr_zero(lanes);
    const Clock& clock = clocks_[warp * kWarpSize + lane];
    for (int32_t other = 0; other < kWarpSize; ++other)
      known[other] = std::max(known[other], clock.known[other]);
    known[lane] = std::max(known[lane], clock.own);
  }
  for (uint32_t lanes = mask; lanes != 0; lanes &= lanes - 1) {
    Clock& clock = clocks_[warp * kWarpSize + std::countr_zero(lanes)];
    std::copy(std::begin(known), std::end(known), std::begin(clock.known));
    ++clock.own;
  }
}

}  // namespace lastrow::simt
