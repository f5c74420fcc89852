// The state of attention/softmax_state.h in base 2, for scores that come multiplied by log2 e.
//
//   q' = q · scale · kLog2E                          once; x = q'·k then is the score in units of ln 2
//   factor = state.raise(largest x of the tile)      once a tile; acc *= factor
//   p = state.weigh(x)                               once a key: 2^(x − row_max), counted in row_sum
//   lse = state.lse()                                natural log again
//
// exp2f is one instruction where expf is a multiplication more. A key that is not seen has x = −∞ and weighs
// 0, whatever the state. The empty set is row_max = −∞, row_sum = 0, lse = −∞.
#pragma once

#include "gpu/kernels/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

struct Softmax2 {
  float row_max = kMinusInfinity;  // of the scores seen, in units of ln 2
  float row_sum = 0;               // Σ 2^(x − row_max)

  /// Factor by which sums under old_max shrink under new_max ≥ old_max; (−∞) − (−∞) would be NaN.
  __device__ static float rescale(float old_max, float new_max) {
    return old_max == kMinusInfinity ? 0 : exp2f(old_max - new_max);
  }

  __device__ float raise(float tile_max) {
    const float old_max = row_max;
    row_max = tile_max > old_max ? tile_max : old_max;
    const float factor = rescale(old_max, row_max);
    row_sum *= factor;
    return factor;
  }

  __device__ float weigh(float x) {
    const float p = x == kMinusInfinity ? 0 : exp2f(x - row_max);
    row_sum += p;
    return p;
  }

  __device__ float lse() const { return row_sum == 0 ? kMinusInfinity : row_max * kLn2 + logf(row_sum); }
};

}  // namespace lastrow::LASTROW_TARGET
