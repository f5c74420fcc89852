// Exercise 07: a kernel.
//
// Asked     The scores of one query against kv_len keys, a warp a key: its 32 lanes share the head_dim
//           products, neighbouring lanes reading neighbouring elements, so that memory is read in whole
//           sectors of 32 bytes. One lane stores the sum.
// Met in    lesson 10
// Tried     under the emulator, with its checks on: 4 keys by hand; 5 keys, where the second block has
//           warps without a key; head_dims that 32 does not divide; then the sectors that loads of g_k move
//
//   lessons/check 07
#include "lessons/exercises/score_row.h"

namespace lastrow::LASTROW_TARGET {

__global__ void score_row(ScoreRow o) {
  const int32_t lane = threadIdx.x % kWarpSize;
  const int32_t s = blockIdx.x * kScoreWarps + threadIdx.x / kWarpSize;  // the key of this warp
  // Your turn: each lane's part of q · k[s]. Which elements d are its own? Not every warp has a key.
  const float part = 0;
  const float score = warp_sum(part) * o.scale;
  if (lane == 0) o.g_scores.store(s, score);
}

}  // namespace lastrow::LASTROW_TARGET
