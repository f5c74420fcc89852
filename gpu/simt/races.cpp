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
  clocks_.assign(static_cast<size_t>(n_threads), Clock{});
}

void RaceDetector::shared_declared(const SharedArray& array) {
  const auto order = static_cast<size_t>(array.order);
  if (order == shadow_.size()) shadow_.emplace_back();
  shadow_[order].resize(static_cast<size_t>(array.n));
  for (Element& element : shadow_[order]) element.forget();  // the blocks before
}

bool RaceDetector::ordered(const Record& before, const Thread& now) const {
  if (before.rank < 0 || before.rank == now.rank || before.phase < phase_) return true;
  if (before.rank / kWarpSize != now.warp) return false;
  return before.clock <= clocks_[now.rank].known[before.rank % kWarpSize];
}

void RaceDetector::check(const Record& before, const Thread& thread, Access access, const SharedArray& array,
                         int64_t i, Here here) const {
  const bool both_atomic = before.access == Access::atomic && access == Access::atomic;
  if (both_atomic || ordered(before, thread)) return;
  const bool same_warp = before.rank / kWarpSize == thread.warp;
  block_->fail(
      Finding::shared_race, thread, here,
      fmt::format("{} {}[{}], which thread {} {} at {}:{}, with no {} between", verb(access), array.name, i,
                  block_->launch().block.at(before.rank).to_string(), verb(before.access), before.here.name(),
                  before.here.line, same_warp ? "__syncwarp or __syncthreads" : "__syncthreads"));
}

/// A write to an element, against everyone who was there.
void RaceDetector::check_all(const Element& element, const Thread& thread, Access access,
                             const SharedArray& array, int64_t i, Here here) const {
  check(element.writer, thread, access, array, i, here);
  for (const Record& reader : element.readers) check(reader, thread, access, array, i, here);
}

void RaceDetector::refuse_while_copying(const Element& element, const Thread& thread, Access access,
                                        const SharedArray& array, int64_t i, Here here) const {
  const Record& copy = element.copying;
  if (copy.rank < 0) return;
  block_->fail(Finding::shared_race, thread, here,
               fmt::format("{} {}[{}], to which thread {} began a copy at {}:{} that has not been waited for",
                           verb(access), array.name, i, block_->launch().block.at(copy.rank).to_string(),
                           copy.here.name(), copy.here.line));
}

void RaceDetector::copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                               Here here) {
  for (int64_t i = first; i < first + n; ++i) {
    Element& element = shadow_[array.order][i];
    refuse_while_copying(element, thread, Access::copy, array, i, here);
    check_all(element, thread, Access::copy, array, i, here);
    element.copying = {thread.rank, phase_, clocks_[thread.rank].own, Access::copy, here};
  }
}

void RaceDetector::shared(const Thread& thread, Access access, const SharedArray& array, int64_t first,
                          int32_t n, Here here) {
  const Record now{thread.rank, phase_, clocks_[thread.rank].own, access, here};
  for (int64_t i = first; i < first + n; ++i) {
    Element& element = shadow_[array.order][i];
    if (access == Access::copy)
      element.copying.rank = -1;
    else
      refuse_while_copying(element, thread, access, array, i, here);
    if ((access == Access::load || access == Access::atomic) && !element.written)
      block_->fail(Finding::uninitialised_shared, thread, here,
                   fmt::format("{} {}[{}], which no thread has written", verb(access), array.name, i));
    if (access == Access::load) {
      check(element.writer, thread, access, array, i, here);
      auto& readers = element.readers;
      if (!readers.empty() && readers.front().phase < phase_) readers.clear();
      const auto mine = std::find_if(readers.begin(), readers.end(),
                                     [&](const Record& r) { return r.rank == thread.rank; });
      if (mine == readers.end())
        readers.push_back(now);
      else
        *mine = now;
    } else {
      check_all(element, thread, access, array, i, here);
      element.readers.clear();
      element.writer = now;
      element.written = true;
    }
  }
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
