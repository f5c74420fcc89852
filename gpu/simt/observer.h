// Who watches a block: told of each access and each point of order, in the order in which they happen.
//
// Races (races.h) and traffic counts (traffic.h) are observers; Watchers hands on to several. An observer may
// throw SimtError from an access: the emulator then ends the launch with it.
#pragma once

#include <cstdint>

#include "gpu/simt/thread.h"

namespace lastrow::simt {

struct SharedArray;

enum class Access : uint8_t { load, store, atomic, copy };  // copy: what an asynchronous one brings

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void block_begins(const Block& block, int32_t n_threads) = 0;
  virtual void shared_declared(const SharedArray& array) = 0;
  /// `bytes` at `address`, by one thread in one instruction.
  virtual void global(const Thread& thread, Access access, const char* name, uint64_t address, int32_t bytes,
                      Here here) = 0;
  /// n elements from `first` of an array.
  virtual void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
                      Here here) = 0;
  /// An asynchronous copy to them begins. It lands with shared(thread, Access::copy, …), of the same thread.
  virtual void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                           Here here) = 0;
  virtual void barrier_passed(Here here) = 0;
  /// The lanes of `mask` have met; only warp_sync orders their memory accesses.
  virtual void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) = 0;
  virtual void block_ends() = 0;
};

}  // namespace lastrow::simt
