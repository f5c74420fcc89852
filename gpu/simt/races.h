// Finds reads of shared memory that no thread has written, and races. A race is two accesses to one element
// of shared or global memory by two threads of a block, one of them a write, that nothing orders.
//
// What orders two accesses: a __syncthreads between them; for two lanes of one warp also a __syncwarp that
// both take part in. Shuffles, votes, mma and ldmatrix order nothing. The order follows from these rules, not
// from this run: a race is found although the emulator runs one thread at a time.
// Atomics do not race with atomics.
//
// An asynchronous copy writes at some time between its beginning and its arrival. So earlier accesses must be
// ordered before it begins, and later ones after the wait for it. No thread may access the destination in
// between, not even the one that began the copy. In the same time no thread may write the copy's source.
//
// In global memory the detector follows only arrays that this block can write to, each from the block's first
// access through a view that can write. So it misses one kind of race: a read through a Global<const T>
// before all of those accesses. Elements are identified by where they begin, so all views of one array must
// have one type. Blocks are not compared with each other.
//
// Each thread counts its own points of order (its clock). For each lane of its warp it keeps the clock up to
// which that lane's accesses are ordered before its own. An access by another thread is ordered if it lies
// before the last __syncthreads, or if it is by a lane of this warp and within that clock. (Vector clocks:
// Lamport 1978; the test at each access: Flanagan and Freund 2009, "FastTrack", with a list of all readers.)
#pragma once

#include <vector>

#include "gpu/simt/block.h"
#include "gpu/simt/global_shadow.h"

namespace lastrow::simt {

class RaceDetector final : public Observer {
 public:
  void block_begins(const Block& block, int32_t n_threads) override;
  void shared_declared(const SharedArray& array) override;
  void global(const Thread& thread, Access access, const GlobalArray& array, int64_t first, int32_t n,
              Here here) override;
  void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
              Here here) override;
  void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                   Here here) override;
  void source_held(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                   Here here) override;
  void source_released(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                       Here here) override;
  void barrier_passed(Here here) override;
  void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) override;
  void block_ends() override {}

 private:
  struct alignas(
      64) Element {  // of shared memory; one line of the processor's cache, which is what time goes for
    History history;
    Record copying;      // the asynchronous copy on its way to it
    uint32_t block = 0;  // the block that this is about; what an older one did counts as nothing
  };
  static_assert(sizeof(Element) == 64);
  struct Clock {
    uint32_t own = 1;
    uint32_t known[kWarpSize] = {};  // of each lane of the warp
  };

  /// One thread at one element.
  struct Visit {
    const Thread& thread;
    Record now;
    Finding race;  // the finding to report if it is a race
    const char* array;
    int64_t i;
  };
  /// Element i of an array, as this block knows it.
  Element& element(const SharedArray& array, int64_t i) {
    Element& found = shadow_[array.order][i];
    if (found.block != n_blocks_) {
      found.block = n_blocks_;
      found.copying.clear();
      found.history.clear();
    }
    return found;
  }
  Record make_record(const Thread& thread, Access access, Here here) {
    return {thread.rank, phase_, clocks_[thread.rank].own, access, places_.number(here)};
  }
  bool ordered(const Record& before, const Thread& now) const {
    if (before.none() || before.rank() == now.rank || before.phase < phase_) return true;
    if (before.rank() / kWarpSize != now.warp) return false;
    return before.clock <= clocks_[now.rank].known[before.rank() % kWarpSize];
  }
  void check(const Record& before, const Visit& visit) const {
    const bool both_atomic = before.access() == Access::atomic && visit.now.access() == Access::atomic;
    if (!both_atomic && !ordered(before, visit.thread)) report(before, visit);
  }
  [[noreturn]] void report(const Record& before, const Visit& visit) const;
  void pass(History& history, const Visit& visit) const;
  [[noreturn]] void refuse_while_copying(const Record& copy, const char* direction, const Visit& visit) const;

  const Block* block_ = nullptr;
  uint32_t phase_ = 1;
  uint32_t n_blocks_ = 0;
  Places places_;
  std::vector<Clock> clocks_;                 // by rank
  std::vector<std::vector<Element>> shadow_;  // of shared memory: [array][element]; memory is reused
  GlobalShadow global_;
};

}  // namespace lastrow::simt
