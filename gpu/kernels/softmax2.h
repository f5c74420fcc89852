// The state of attention/softmax_state.h in base 2, for scores that come multiplied by log2 e.
//
//   q' = q · scale · kLog2E                          once; x = q'·k then is the score in units of ln 2
//   factor = state.raise(largest x of the tile)      once a tile; acc *= factor
//   p = state.weigh(x)                               once a key: 2^(x − row_max), counted in row_sum
//   lse = state.lse()                                natural log again
//
// A key that is not seen has x = −∞ and weighs 0, whatever the state. The empty set is row_max = −∞,
// row_sum = 0, lse = −∞.
#pragma once

#include "gpu/kernels/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

/// 2^x, or 0 where that is below 2^-126: one instruction, where exp2f is four because of those. They weigh
/// nothing beside the row's largest weight, which is 1.
__device__ inline float exp2_or_zero(float x) {
#if defined(__CUDACC__)
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return exp2f(x);
#endif
}

struct Softmax2 {
  float row_max = kMinusInfinity;  // of the scores seen, in units of ln 2
  float row_sum = 0;               // Σ 2^(x − row_max)

  /// What is subtracted from scores; before the first is seen 0, as (−∞) − (−∞) would be NaN.
  __device__ static float base(float row_max) { return row_max == kMinusInfinity ? 0 : row_max; }
  /// Factor by which sums under old_max shrink under new_max ≥ old_max.
  __device__ static float rescale(float old_max, float new_max) {
    return exp2_or_zero(old_max - base(new_max));
  }

  __device__ float raise(float tile_max) {
    const float old_max = row_max;
    row_max = fmaxf(tile_max, old_max);
    const float factor = rescale(old_max, row_max);
    row_sum *= factor;
    return factor;
  }

  __device__ float weigh(float x) {
    const float p = exp2_or_zero(x - base(row_max));
    row_sum += p;
    return p;
  }

  __device__ float lse() const { return row_sum == 0 ? kMinusInfinity : row_max * kLn2 + logf(row_sum); }
};

}  // namespace lastrow::LASTROW_TARGET
