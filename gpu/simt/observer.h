// An observer of a block gets each memory access, and each event that orders accesses, when it happens.
//
// Races (races.h) and traffic counts (traffic.h) are observers. Watchers (device.cpp) passes events to both.
// An observer may throw SimtError from an access: then the emulator ends the launch with it.
#pragma once

#include <cstdint>

#include "gpu/simt/thread.h"

namespace lastrow::simt {

struct SharedArray;

/// How a view of global memory describes its array.
struct GlobalArray {
  const char* name;
  uint64_t begin;  // address
  int64_t n;       // elements
  int32_t elem_bytes;
  bool writable;  // whether this view can write

  uint64_t address(int64_t i) const { return begin + static_cast<uint64_t>(i * elem_bytes); }
};

enum class Access : uint8_t { load, store, atomic, copy };  // copy: the write of an asynchronous copy

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void block_begins(const Block& block, int32_t n_threads) = 0;
  virtual void shared_declared(const SharedArray& array) = 0;
  /// One thread accesses n elements of an array, from `first` on, in one instruction.
  virtual void global(const Thread& thread, Access access, const GlobalArray& array, int64_t first, int32_t n,
                      Here here) = 0;
  /// The same in shared memory.
  virtual void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
                      Here here) = 0;
  /// An asynchronous copy to these elements begins.
  /// It arrives with shared(thread, Access::copy, …) of the same thread.
  virtual void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                           Here here) = 0;
  /// An asynchronous copy reads these elements from source_held to source_released. When it begins, the read
  /// is also reported as a load.
  virtual void source_held(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                           Here here) = 0;
  virtual void source_released(const Thread& thread, const GlobalArray& array, int64_t first, int32_t n,
                               Here here) = 0;
  virtual void barrier_passed(Here here) = 0;
  /// The lanes of `mask` have met; only warp_sync orders their memory accesses.
  virtual void lanes_met(int32_t warp, Wait kind, uint32_t mask, Here here) = 0;
  virtual void block_ends() = 0;
};

}  // namespace lastrow::simt
