// Told: one more key: three warps of the second block have no key: the emulator stopped it.
// Told: thread (32, 0, 0), 07_no_ragged_tail.cu:
// Told: out of bounds: reads g_k[20] of 20 elements
// Told: In the last block, some warps have no key
#include "lessons/exercises/score_row.h"

namespace lastrow::LASTROW_TARGET {

__global__ void score_row(ScoreRow o) {
  const int32_t lane = threadIdx.x % kWarpSize;
  const int32_t s = blockIdx.x * kScoreWarps + threadIdx.x / kWarpSize;  // the key of this warp
  float part = 0;
  for (int32_t d = lane; d < o.head_dim; d += kWarpSize)
    part += o.g_q.load(d) * o.g_k.load(int64_t{s} * o.head_dim + d);
  const float score = warp_sum(part) * o.scale;
  if (lane == 0) o.g_scores.store(s, score);
}

}  // namespace lastrow::LASTROW_TARGET
