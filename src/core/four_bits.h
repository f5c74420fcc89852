// The two types with 4 bits, as codes from 0 to 15. A code stands for a number, which a scale multiplies. The
// scales are stored separately (cache/kv_codec.h).
//
//   float x = fp4_number(code), y = int4_number(code);
//   uint32_t code = fp4_code(x);                  the nearest number, ties to even
//   uint8_t bits = packed(first, second);         two codes in a byte, the first in the low half
//   first_code(bits), second_code(bits)
//
//   code        0   1    2   3    4   5   6   7     8    9     10  11    12  13  14  15
//   fp4 (e2m1)  0   0.5  1   1.5  2   3   4   6    −0   −0.5   −1  −1.5  −2  −3  −4  −6
//   int4        0   1    2   3    4   5   6   7    −8   −7     −6  −5    −4  −3  −2  −1
//
// A number that is too large becomes ±6 or ±7: neither type has infinity or NaN, and NaN becomes 0. int4 is
// symmetric: its code 8, −8, is read but never written. So the largest element of a group always gets the code
// ±7, whatever its sign, and a decoded group encodes to the same codes and the same scale again.
// Source of e2m1: Open Compute Project 2023, "Microscaling Formats (MX) Specification", 5.3.3.
#pragma once

#include <bit>
#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

constexpr float kLargestFp4 = 6, kLargestInt4 = 7;

LASTROW_HD constexpr uint8_t packed(uint32_t first, uint32_t second) {
  return static_cast<uint8_t>(first | second << 4);
}
LASTROW_HD constexpr uint32_t first_code(uint8_t bits) { return bits & 15u; }
LASTROW_HD constexpr uint32_t second_code(uint8_t bits) { return uint32_t{bits} >> 4; }

namespace detail {
/// n < 2^23 as a float, without the conversion instruction, which is slow on a GPU: n becomes the last bits of
/// 2^23, and 2^23 is subtracted, which is exact.
LASTROW_HD constexpr float small_number(uint32_t n) {
  return std::bit_cast<float>(0x4B00'0000u | n) - 0x1p23f;
}
}  // namespace detail

LASTROW_HD constexpr float fp4_number(uint32_t code) {
  const uint32_t exponent = (code >> 1) & 3u, significand = (code & 1u) | (exponent != 0 ? 2u : 0u);
  const uint32_t unit = ((exponent != 0 ? exponent : 1u) + 125u) << 23;  // 2^(e − 2)
  const float magnitude = detail::small_number(significand) * std::bit_cast<float>(unit);
  return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | (code & 8u) << 28);
}

/// Counts the midpoints that |x| passes. A tie goes to the even code.
LASTROW_HD constexpr uint32_t fp4_code(float x) {
  const float a = std::bit_cast<float>(std::bit_cast<uint32_t>(x) & 0x7FFF'FFFFu);
  const uint32_t magnitude = uint32_t{a > 0.25f} + uint32_t{a >= 0.75f} + uint32_t{a > 1.25f} +
                             uint32_t{a >= 1.75f} + uint32_t{a > 2.5f} + uint32_t{a >= 3.5f} +
                             uint32_t{a > 5.0f};
  return magnitude | (x == x ? (std::bit_cast<uint32_t>(x) >> 28) & 8u : 0u);
}

LASTROW_HD constexpr float int4_number(uint32_t code) { return detail::small_number(code ^ 8u) - 8; }

LASTROW_HD constexpr uint32_t int4_code(float x) {
  constexpr float kToNearest = 0x1.8p23f;  // a sum with it has no bits below 1, so it rounds to nearest
  const float within = x > kLargestInt4 ? kLargestInt4 : x < -kLargestInt4 ? -kLargestInt4 : x;
  return x == x ? std::bit_cast<uint32_t>(within + kToNearest) & 15u : 0u;
}

}  // namespace lastrow
