// The state of attention/softmax_state.h in base 2, for scores that are multiplied by log2 e.
//
//   q' = q · scale · kLog2E                          once; then x = q'·k is the score in units of ln 2
//   factor = state.raise(largest x of the tile)      once per tile; acc *= factor
//   p = state.weigh(x)                               once per key: 2^(x − row_max), added to row_sum
//   lse = state.lse()                                in natural log again
//
// A key that is not seen has x = −∞ and weighs 0 in any state. If no key has been seen, row_max = −∞,
// row_sum = 0 and lse = −∞.
#pragma once

#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {

/// 2^x, or 0 if that is below 2^-126. This is one instruction. exp2f takes four, because it also computes such
/// tiny results, but they do not matter here: the largest weight of the row is 1.
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

  /// What is subtracted from scores. It is 0 before the first score, because (−∞) − (−∞) would be NaN.
  __device__ static float base(float row_max) { return row_max == kMinusInfinity ? 0 : row_max; }
  /// The factor that scales sums made with old_max to new_max ≥ old_max.
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
