// Divides a warp into groups of lanes. Each group reads one key's row, 16 bytes per lane.
//
//   n_lanes = lanes_per_key(row_bytes) lanes of a group: a power of two, so shuffles stay inside a group x =
//   sum_within(x, n_lanes) sum over the lanes of a group: a score x = sum_across(x, n_lanes) sum over the
//   groups, lane by lane: merges what the groups summed
//
// Every lane of the warp has to call these functions, and every lane gets the result. The order of a sum is
// fixed.
#pragma once

#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kLoadBytes = 16;  // the most that one instruction moves for one lane

LASTROW_HD constexpr int32_t lanes_per_key(int32_t row_bytes) {
  int32_t n = 1;
  while (n < kWarpSize && n * kLoadBytes < row_bytes) n *= 2;
  return n;
}

__device__ inline float sum_within(float x, int32_t n_lanes) {
  for (int32_t flip = n_lanes / 2; flip > 0; flip /= 2) x += __shfl_xor_sync(kAllLanes, x, flip);
  return x;
}
__device__ inline float sum_across(float x, int32_t n_lanes) {
  for (int32_t flip = n_lanes; flip < kWarpSize; flip *= 2) x += __shfl_xor_sync(kAllLanes, x, flip);
  return x;
}
__device__ inline float max_across(float x, int32_t n_lanes) {
  for (int32_t flip = n_lanes; flip < kWarpSize; flip *= 2) {
    const float other = __shfl_xor_sync(kAllLanes, x, flip);
    x = other > x ? other : x;
  }
  return x;
}

}  // namespace lastrow::LASTROW_TARGET
