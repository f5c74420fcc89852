// Exercise 07: a kernel.
//
// Task      Compute the scores of one query with kv_len keys, one warp per key. The 32 lanes of the warp
//           share the head_dim products. Neighbouring lanes read neighbouring elements, so that memory is
//           read in whole sectors of 32 bytes. One lane stores the sum.
// Lesson    10
// Tests     in the emulator, with all its checks: 4 keys that you can check by hand; 5 keys, where the second
//           block has warps without a key; head_dims that are not a multiple of 32; then the sectors moved by
//           the loads of g_k
// Then      a whole attention kernel, in the form of the rungs in gpu/ladder. Begin with the template, which is right
//           and slow; its comments say what to change first. lessons/check 07 my.cu compares it with naive-f64 on
//           many problems, and counts (and on a GPU times) it beside the ladder, as lastrow-kernels --try does
//
//   lessons/check 07
//   build/bin/lastrow-kernels --template > my.cu; lessons/check 07 my.cu
#include "lessons/exercises/score_row.h"

namespace lastrow::LASTROW_TARGET {

__global__ void score_row(ScoreRow o) {
  const int32_t lane = threadIdx.x % kWarpSize;
  const int32_t s = blockIdx.x * kScoreWarps + threadIdx.x / kWarpSize;  // the key of this warp
  // Your turn: this lane's part of q · k[s]. Which elements d does it read? (Not every warp has a key.)
  const float part = 0;
  const float score = warp_sum(part) * o.scale;
  if (lane == 0) o.g_scores.store(s, score);
}

}  // namespace lastrow::LASTROW_TARGET
