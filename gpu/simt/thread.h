// One thread of the emulated GPU as its own code sees it: which thread it is, and what it waits for.
//
//   self()            the thread whose kernel code runs on this OS thread
//   self().index      threadIdx      self().block->index()   blockIdx
//
// Threads are numbered x fastest, then y, then z. Each group of 32 consecutive threads is a warp, as on the GPU.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "gpu/simt/here.h"

namespace lastrow::simt {

constexpr int32_t kWarpSize = 32;
constexpr int32_t kMaxThreads = 1024;        // per block
constexpr int64_t kMaxSharedBytes = 232448;  // per block, 227 KiB: compute capability 9.0

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
  constexpr int64_t size() const { return int64_t{x} * y * z; }
  /// The i-th of a grid of this size, x fastest.
  constexpr Dim3 at(int64_t i) const {
    const auto n = static_cast<uint64_t>(i);
    return {static_cast<uint32_t>(n % x), static_cast<uint32_t>(n / x % y),
            static_cast<uint32_t>(n / (uint64_t{x} * y))};
  }
  std::string to_string() const { return fmt::format("({}, {}, {})", x, y, z); }
};

class Block;
class Observer;

enum class Wait : uint8_t { none, barrier, shuffle, vote, warp_sync, mma, ldmatrix, returned };
/// "__syncthreads", "a shuffle", …
const char* name_of(Wait wait);

/// What the 32 lanes of a warp do with the data that each of them brought (target/tensor_cores.h).
using Exchange = void (*)(void* const (&brought)[kWarpSize]);

struct Thread {
  Dim3 index;
  int32_t rank = 0, warp = 0, lane = 0;
  Block* block = nullptr;
  Observer* observer = nullptr;  // null: not observed

  // What it waits for, and what it gives to the other lanes.
  Wait wait = Wait::none;
  Here where{"", 0};
  uint32_t mask = 0;
  int32_t source_lane = 0;      // shuffle: the lane whose value it takes
  uint64_t value = 0;           // first the value that it gives, then the one that it got
  Exchange exchange = nullptr;  // mma, ldmatrix
  void* brought = nullptr;      // mma, ldmatrix: its registers, on its own stack
  int32_t n_arrays = 0;         // shared arrays it has declared so far
};

extern constinit thread_local Thread* t_self;
inline Thread& self() { return *t_self; }

}  // namespace lastrow::simt
