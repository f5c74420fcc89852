// The settings of an attention, beside its operands: how scores are made from q and k, and which of them count.
//
//   x             = scale · q[t,h,:]·k[s,g,:]                 for the keys s that the mask lets query t see
//   x             = soft_cap · tanh(x / soft_cap)             if there is a soft cap
//   score[h,t,s]  = x − slope(h) · distance(t, s)             if there is ALiBi
//
// One rule for host and kernels. `scale` may be multiplied into q, so it is a factor. The rest is done to
// each score, and only if it is wanted:
//
//   const float factor = score.query_factor();                once a query; x = factor · q·k
//   const float slope = score.slope(h);                       once a head
//   if (!score.only_scales()) x = score.finish(x, slope, distance);
//
// Kernels that work in base 2 give the unit log2 e: then x, slope and the result are in units of ln 2.
//
//   query_factor(kLog2E)     finish(x, slope · kLog2E, distance, kLog2E)
//
// Without soft cap and ALiBi, never call finish: the bits are then those of the scale alone.
// A new rule for scores belongs here: every backend and every kernel takes this struct.
// Source: soft cap: Gemma Team 2024, "Gemma 2"; ALiBi: Press et al. 2022, "Train Short, Test Long".
#pragma once

#include <cmath>

#include "attention/mask.h"

namespace lastrow {

/// 2^(−8 (h + 1) / n_heads) if n_heads is a power of two. Else the first heads have the slopes of the power
/// of two below, and the others have every second slope of twice this power, from the first on. On the host;
/// a device gets them in a table.
inline float alibi_slope(int32_t h, int32_t n_heads) {
  int32_t power = 1;
  while (power <= n_heads / 2) power *= 2;
  const double exponent = h < power ? 8.0 * (h + 1) / power : 4.0 * (2 * (h - power) + 1) / power;
  return static_cast<float>(std::exp2(-exponent));
}

struct ScoreRule {
  float scale = 1.0f;       // 1/√head_dim unless the model says otherwise
  float soft_cap = 0;       // 0: none
  int32_t alibi_heads = 0;  // 0: no ALiBi; else the number of query heads, for their slopes

  LASTROW_HD constexpr bool only_scales() const { return soft_cap == 0 && alibi_heads == 0; }
  LASTROW_HD constexpr float query_factor(float unit = 1) const { return scale * unit; }
  float slope(int32_t h) const { return alibi_heads == 0 ? 0 : alibi_slope(h, alibi_heads); }
  /// distance ≥ 0: how many positions lie between query and key.
  template <typename T>
  LASTROW_HD T finish(T x, T slope_of_head, int32_t distance, T unit = 1) const {
    if (soft_cap != 0) {
      const T cap = static_cast<T>(soft_cap) * unit;
      x = cap * std::tanh(x / cap);
    }
    return x - slope_of_head * static_cast<T>(distance);
  }
};

struct AttendSpec {
  ScoreRule score{};
  MaskRule mask{};
};

}  // namespace lastrow
