// The words of CUDA C++ that kernel text uses, with the emulator's meaning. Include it last, and only in
// kernel files, because threadIdx and others are macros here.
//
// It has threadIdx, blockIdx, blockDim, gridDim, __syncthreads, __syncwarp, __shfl_sync and its three
// variants, __ballot_sync, __any_sync, __all_sync, exp2f and what <cmath> has. Kernels use memory through
// views (views.h). Some instructions have no word in CUDA C++. For these we have our own functions
// (target/async_copy.h, tensor_cores.h).
#pragma once

#include <bit>
#include <cmath>
#include <cstring>

#include "gpu/simt/views.h"

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::lastrow::simt::self().index)
#define blockIdx (::lastrow::simt::self().block->index())
#define blockDim (::lastrow::simt::self().block->launch().block)
#define gridDim (::lastrow::simt::self().block->launch().grid)

namespace lastrow::emulated {

using simt::DynamicShared;
using simt::Global;
using simt::Here;
using simt::Shared;
using simt::shared_array;
using simt::Vec;

constexpr int32_t warpSize = simt::kWarpSize;

inline void __syncthreads(Here here = Here::current()) { simt::self().block->barrier(here); }
inline void __syncwarp(uint32_t mask = 0xFFFFFFFFu, Here here = Here::current()) {
  simt::self().block->meet(simt::Wait::warp_sync, mask, 0, 0, here);
}

/// The value of lane `source`, of any type of up to 8 bytes.
template <typename T>
T take_from_lane(uint32_t mask, T value, int32_t source, Here here) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = simt::self().block->meet(simt::Wait::shuffle, mask, bits, source, here);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// `width`, a power of two, divides the warp into segments of that many lanes.
template <typename T>
T __shfl_sync(uint32_t mask, T value, int32_t source, int32_t width = warpSize, Here here = Here::current()) {
  const int32_t lane = simt::self().lane, begin = lane & -width;
  return take_from_lane(mask, value, begin + (source & (width - 1)), here);
}
/// A lane whose source is outside of its segment keeps its own value.
template <typename T>
T __shfl_up_sync(uint32_t mask, T value, uint32_t delta, int32_t width = warpSize,
                 Here here = Here::current()) {
  const int32_t lane = simt::self().lane, begin = lane & -width, source = lane - static_cast<int32_t>(delta);
  return take_from_lane(mask, value, source < begin ? lane : source, here);
}
template <typename T>
T __shfl_down_sync(uint32_t mask, T value, uint32_t delta, int32_t width = warpSize,
                   Here here = Here::current()) {
  const int32_t lane = simt::self().lane, end = (lane & -width) + width,
                source = lane + static_cast<int32_t>(delta);
  return take_from_lane(mask, value, source >= end ? lane : source, here);
}
template <typename T>
T __shfl_xor_sync(uint32_t mask, T value, int32_t flip, int32_t width = warpSize,
                  Here here = Here::current()) {
  const int32_t lane = simt::self().lane, end = (lane & -width) + width, source = lane ^ flip;
  return take_from_lane(mask, value, source >= end ? lane : source, here);
}

inline uint32_t __ballot_sync(uint32_t mask, bool yes, Here here = Here::current()) {
  return static_cast<uint32_t>(simt::self().block->meet(simt::Wait::vote, mask, yes ? 1 : 0, 0, here));
}
inline bool __any_sync(uint32_t mask, bool yes, Here here = Here::current()) {
  return __ballot_sync(mask, yes, here) != 0;
}
inline bool __all_sync(uint32_t mask, bool yes, Here here = Here::current()) {
  return __ballot_sync(mask, !yes, here) == 0;
}

}  // namespace lastrow::emulated
