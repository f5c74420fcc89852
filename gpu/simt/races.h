// Finds reads of shared memory that nobody wrote, and races: two threads of a block at one element, one of
// them writing, with nothing that orders them.
//
// What orders two accesses: a __syncthreads between them; for two lanes of one warp also a __syncwarp that
// both take part in. Shuffles, votes, mma and ldmatrix order nothing. The order is that of the rules, not of
// this run: a race is found although the emulator runs one thread at a time. Atomics do not race with
// atomics. An asynchronous copy writes at some time between its beginning and its landing: what comes before
// must be ordered before it begins, what comes after must be ordered after it was waited for, and nobody,
// not even the thread that began it, may come between.
//
// Each thread counts its own points of order (its clock), and keeps for each lane of its warp the clock up to
// which it knows that lane's accesses. An access by another thread is ordered if it lies before the last
// __syncthreads, or is by a lane of this warp and within what this thread knows of it. (Vector clocks:
// Lamport 1978; the test on each access: Flanagan and Freund 2009, "FastTrack", with a list of all readers.)
#pragma once

#include <vector>

#include "gpu/simt/block.h"
#include "gpu/simt/short_list.h"

namespace lastrow::simt {

class RaceDetector final : public Observer {
 public:
  void block_begins(const Block& block, int32_t n_threads) override;
  void shared_declared(const SharedArray& array) override;
  void global(const Thread&, Access, const char*, uint64_t, int32_t, Here) override {}
  void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
              Here here) override;
  void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                   Here here) override;
  void barrier_passed(Here here) override;
  void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) override;
  void block_ends() override {}

 private:
  struct Record {  // who was here last, and when
    int32_t rank = -1;
    uint32_t phase = 0;  // how many __syncthreads had been passed
    uint32_t clock = 0;
    Access access = Access::load;
    Here here{"", 0};
  };
  struct Element {
    bool written = false;
    Record writer;
    Record copying;             // whose asynchronous copy is on its way; rank −1: nobody's
    ShortList<Record> readers;  // since the last write or __syncthreads, one a thread
    void forget() {
      written = false;
      writer.rank = copying.rank = -1;
      readers.clear();
    }
  };
  struct Clock {
    uint32_t own = 1;
    uint32_t known[kWarpSize] = {};  // of each lane of the warp
  };

  bool ordered(const Record& before, const Thread& now) const;
  void check_all(const Element& element, const Thread& thread, Access access, const SharedArray& array,
                 int64_t i, Here here) const;
  void refuse_while_copying(const Element& element, const Thread& thread, Access access,
                            const SharedArray& array, int64_t i, Here here) const;
  void check(const Record& before, const Thread& thread, Access access, const SharedArray& array, int64_t i,
             Here here) const;

  const Block* block_ = nullptr;
  uint32_t phase_ = 1;
  std::vector<Clock> clocks_;                 // by rank
  std::vector<std::vector<Element>> shadow_;  // by array, by element; kept from block to block
};

}  // namespace lastrow::simt
