// The scales of int8 rows where tensor cores multiply: K's into the score, V's into p, once a key and query.
//
//   ValueUnits<KV> units;                         of the warp's rows, before the loop
//   KeyScales<KV, n> scales(s_scales, first);     of 8 n keys, the lane's own two of each eight
//   scales.of_k(r_x);                             x *= scale of K
//   rows.weigh(r_x, r_factor);                    x becomes p
//   units.take(scales, r_x, r_factor);            p becomes p · scale of V / unit, r_factor acc's in that unit
//   rows.add_values(r_x, r_factor, …);            acc = acc · factor + p · v, in units
//   units.finish(rows);                           acc in units of 1, at the end
//
// Of types without scales all this does nothing.
//
// Scales are of any size and p is cut into f16, which has few exponents. So each row has a unit: its largest
// p · scale so far, which shrinks as acc does when the row's maximum grows. What is lost is at most 2^-24 of
// the largest term, as where V has no scales. One unit for all rows, the largest scale of a tile, would lose
// more: a key of huge scale that hardly weighs would push aside those that do. And where one key takes all it
// weighs 1, which n_parts 1 does not round.
#pragma once

#include "gpu/kernels/warp_rows.h"

namespace lastrow::LASTROW_TARGET {

template <typename KV>
constexpr bool kScaled = scale_bytes(dtype_of<KV>) > 0;

template <typename KV, int32_t n>
struct KeyScales {
  Vec<float, 4> r_pairs[n];  // scale of K, of V; of the next key again

  /// s_scales [row, 2] as in warp_copies.h.
  __device__ KeyScales(const Shared<float>& s_scales, int32_t first) {
    const int32_t column = static_cast<int32_t>(threadIdx.x) % 4 * 2;
    for (int32_t j = 0; j < n && kScaled<KV>; ++j)
      r_pairs[j] = s_scales.template load_vec<4>(2 * (first + 8 * j + column));
  }
  __device__ void of_k(FragmentC (&r_x)[n]) const {
    for (int32_t j = 0; j < n && kScaled<KV>; ++j)
      for (int32_t i = 0; i < 4; ++i) r_x[j].x[i] *= r_pairs[j].x[i % 2 * 2];
  }
};

/// 1/x to 2^-23, and 0 where x is below 2^-126: one instruction and a choice, where a division is ten.
__device__ inline float inverse_or_zero(float x) {
  if (x < std::numeric_limits<float>::min()) return 0;
#if defined(__CUDACC__)
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#else
  return 1 / x;
#endif
}

/// Of the lane's two rows.
template <typename KV>
struct ValueUnits {
  float r_unit[2] = {};  // 0: no term yet

  /// r_factor [2]: by what acc would shrink without units.
  template <int32_t n>
  __device__ void take(const KeyScales<KV, n>& scales, FragmentC (&r_p)[n], float (&r_factor)[2]) {
    for (int32_t i = 0; i < 2 && kScaled<KV>; ++i) {
      float largest = 0;
      for (int32_t j = 0; j < n; ++j)
        for (int32_t e = 0; e < 2; ++e) {
          float& p = r_p[j].x[2 * i + e];
          p *= scales.r_pairs[j].x[2 * e + 1];
          largest = fmaxf(largest, p);
        }
      largest = row_max_of(largest);
      const float shrunk = r_unit[i] * r_factor[i];
      const bool grows = largest > shrunk;
      r_unit[i] = grows ? largest : shrunk;
      const float inverse = inverse_or_zero(r_unit[i]);
      r_factor[i] = grows ? shrunk * inverse : 1.0f;  // 1: a product near it, each tile, would add up
      for (int32_t j = 0; j < n; ++j)
        for (int32_t e = 0; e < 2; ++e) r_p[j].x[2 * i + e] *= inverse;
    }
  }

  template <typename Rows>
  __device__ void finish(Rows& rows) const {
    if constexpr (kScaled<KV>) rows.shrink(r_unit);
  }
};

}  // namespace lastrow::LASTROW_TARGET
