// The operands of the kernel of exercise 07, and how it is launched.
//
//   grid    ceil(kv_len / kScoreWarps) blocks
//   block   kScoreWarps · 32 threads: 4 warps
//
// Read a view (gpu/simt/views.h) with load(i), write it with store(i, x). warp_sum(x) is the sum of x over
// the 32 lanes of a warp; every lane gets the same sum, and every lane must call it.
#pragma once

#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kScoreWarps = 4;

struct ScoreRow {
  Global<const float> g_q;  // [head_dim]
  Global<const float> g_k;  // [kv_len, head_dim]
  Global<float> g_scores;   // [kv_len]
  int32_t kv_len, head_dim;
  float scale;
};

/// g_scores[s] = scale · Σ_d g_q[d] · g_k[s, d]
__global__ void score_row(ScoreRow o);

}  // namespace lastrow::LASTROW_TARGET
