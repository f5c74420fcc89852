// Finds reads of shared memory that nobody wrote, and races: two threads of a block at one element of shared
// or global memory, one of them writing, with nothing that orders them.
//
// What orders two accesses: a __syncthreads between them; for two lanes of one warp also a __syncwarp that
// both take part in. Shuffles, votes, mma and ldmatrix order nothing. The order is that of the rules, not of
// this run: a race is found although the emulator runs one thread at a time. Atomics do not race with
// atomics. An asynchronous copy writes at some time between its beginning and its landing: what comes before
// must be ordered before it begins, what comes after must be ordered after it was waited for, and nobody,
// not even the thread that began it, may come between. Its source, which it reads in that time, must not be
// written in it.
//
// In global memory only arrays are followed that a view of this block can write to, from its first access
// through such a view. So one race is missed: a read through a Global<const T> that comes before all of those.
// Elements are told apart by where they begin: two views of one array are of one type. Blocks are not compared
// with each other.
//
// Each thread counts its own points of order (its clock), and keeps for each lane of its warp the clock up to
// which it knows that lane's accesses. An access by another thread is ordered if it lies before the last
// __syncthreads, or is by a lane of this warp and within what this thread knows of it. (Vector clocks:
// Lamport 1978; the test on each access: Flanagan and Freund 2009, "FastTrack", with a list of all readers.)
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
  struct Element {  // of shared memory
    bool written = false;
    Record copying;  // whose asynchronous copy is on its way; rank −1: nobody's
    History history;
    void forget() {
      written = false;
      copying.rank = -1;
      history.clear();
    }
  };
  struct Clock {
    uint32_t own = 1;
    uint32_t known[kWarpSize] = {};  // of each lane of the warp
  };

  /// One thread at one element.
  struct Visit {
    const Thread& thread;
    Record now;
    Finding race;  // what it is if it is one
    const char* array;
    int64_t i;
  };
  Record record_of(const Thread& thread, Access access, Here here) const;
  bool ordered(const Record& before, const Thread& now) const;
  void check(const Record& before, const Visit& visit) const;
  void pass(History& history, const Visit& visit) const;
  void refuse_while_copying(const Record& copy, const char* direction, const Visit& visit) const;

  const Block* block_ = nullptr;
  uint32_t phase_ = 1;
  std::vector<Clock> clocks_;  // by rank
  std::vector<std::vector<Element>>
      shadow_;  // of shared memory, by array, by element; kept from block to block
  GlobalShadow global_;
};

}  // namespace lastrow::simt
