// Each lane reads a contiguous part of the row: the scores are right, but more sectors move.
// Told: how much the loads of g_k move: kv_len 20, head_dim 128: the scores are right, but loads of g_k move 1280
// sectors of 32 bytes, expected 320
// Told: lane l reads element d + l
#include "lessons/exercises/score_row.h"

namespace lastrow::LASTROW_TARGET {

__global__ void score_row(ScoreRow o) {
  const int32_t lane = threadIdx.x % kWarpSize;
  const int32_t s = blockIdx.x * kScoreWarps + threadIdx.x / kWarpSize;  // the key of this warp
  if (s >= o.kv_len) return;                                             // all lanes of a warp or none
  float part = 0;
  const int32_t n = (o.head_dim + kWarpSize - 1) / kWarpSize, end = (lane + 1) * n;
  for (int32_t d = lane * n; d < end && d < o.head_dim; ++d)
    part += o.g_q.load(d) * o.g_k.load(int64_t{s} * o.head_dim + d);
  const float score = warp_sum(part) * o.scale;
  if (lane == 0) o.g_scores.store(s, score);
}

}  // namespace lastrow::LASTROW_TARGET
