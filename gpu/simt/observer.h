// Who watches a block: told of each access and each point of order, in the order in which they happen.
//
// Races (races.h) and traffic counts (traffic.h) are observers; Watchers hands on to several. An observer may
// throw SimtError from an access: the emulator then ends the launch with it.
#pragma once

#include <cstdint>

#include "gpu/simt/thread.h"

namespace lastrow::simt {

struct SharedArray;

/// What a view of global memory says of itself.
struct GlobalArray {
  const char* name;
  uint64_t begin;  // address
  int64_t n;       // elements
  int32_t elem_bytes;
  bool writable;  // through this view

  uint64_t address(int64_t i) const { return begin + static_cast<uint64_t>(i * elem_bytes); }
};

enum class Access : uint8_t { load, store, atomic, copy };  // copy: what an asynchronous one brings

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void block_begins(const Block& block, int32_t n_threads) = 0;
  virtual void shared_declared(const SharedArray& array) = 0;
  /// n elements from `first` of an array, by one thread in one instruction.
  virtual void global(const Thread& thread, Access access, const GlobalArray& array, int64_t first, int32_t n,
                      Here here) = 0;
  /// The same.
  virtual void shared(const Thread& thread, Access access, const SharedArray& array, int64_t first, int32_t n,
                      Here here) = 0;
  /// An asynchronous copy to them begins. It lands with shared(thread, Access::copy, …), of the same thread.
  virtual void copy_begins(const Thread& thread, const SharedArray& array, int64_t first, int32_t n,
                           Here here) = 0;
  /// The elements that an asynchronous copy reads, from its beginning to its landing. Its reading is told as
  /// a load as well, when it begins.
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
