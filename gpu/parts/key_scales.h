// The scales of int8 rows on tensor cores: K's go into the score, V's into p, once per key and query.
//
//   ValueUnits<KV> units;                         before the loop; for the rows of the warp
//   KeyScales<KV, n> scales(s_scales, first);     of 8 n keys; a lane has its own two of each eight
//   scales.of_k(r_x);                             x *= scale of K
//   rows.weigh(r_x, r_factor);                    x becomes p
//   units.take(scales, r_x, r_factor);            p becomes p · scale of V / unit; r_factor is changed to fit
//   rows.add_values(r_x, r_factor, …);            acc = acc · r_factor + p · v, in units
//   units.finish(rows);                           after the loop: acc in units of 1
//
// For types without scales all of this does nothing.
//
// Scales may be of any size, but p is split into f16 parts, and f16 has few exponents. So each row has a
// unit: its largest p · scale so far. The unit shrinks as acc does when the row's maximum grows. The loss is
// at most 2^-24 of the largest term, the same as without scales.
//
// Why not one unit for all rows, the largest scale of a tile? A key of huge scale that hardly weighs would
// push out the keys that do weigh. A unit per row has one more advantage: where one key has all the weight,
// its p in units is 1, which n_parts 1 does not round.
#pragma once

#include "gpu/parts/warp_rows.h"

namespace lastrow::LASTROW_TARGET {

template <typename KV>
constexpr bool kScaled = scale_bytes(dtype_of<KV>) > 0;

template <typename KV, int32_t n>
struct KeyScales {
  Vec<float, 4> r_pairs[n];  // scale of K, scale of V; then the same of the next key

  /// s_scales [row, 2], as warp_copies.h writes it.
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

/// 1/x with an error of 2^-23, or 0 if x is below 2^-126. One instruction and a choice; a division takes ten.
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

/// The units of the lane's two rows.
template <typename KV>
struct ValueUnits {
  float r_unit[2] = {};  // 0: no term yet

  /// r_factor [2]: in, the factor by which acc would shrink without units; out, the one for acc in units.
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
      // If the unit stays, the factor is 1 exactly: a product near 1 in each tile would add up its errors.
      r_factor[i] = grows ? shrunk * inverse : 1.0f;
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
