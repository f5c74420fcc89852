// Conversions of single elements, the same on host and device.
//
//   float x = to_float(Half{0x3C00});         from f16, bf16 and fp8: exact
//   Half h = to_half(x);                      to_half, to_bfloat16, to_fp8_e4m3: from float or double
//
// A conversion to a narrower type rounds once, to nearest, with ties to even. This also holds from double.
//
//   f16, bf16     a number that is too large becomes infinity
//   fp8 (e4m3)    has no infinity; a number that is too large becomes ±448
//   all types     NaN stays NaN
#pragma once

#include <bit>
#include <cstdint>

#include "core/dtype.h"
#include "core/host_device.h"

namespace lastrow {

LASTROW_HD constexpr float to_float(Half h) {
  const uint32_t sign = uint32_t(h.bits & 0x8000u) << 16;
  const uint32_t exponent = (h.bits >> 10) & 0x1Fu;
  const uint32_t mantissa = h.bits & 0x3FFu;
  // The value is significand · unit, for subnormals too. Without a branch, the compiler can turn a loop over
  // a row into vector code.
  const uint32_t significand = mantissa | (exponent != 0 ? 0x400u : 0u);
  const float unit = std::bit_cast<float>(((exponent != 0 ? exponent : 1u) + 102u) << 23);  // 2^(e − 25)
  const uint32_t magnitude = std::bit_cast<uint32_t>(float(int32_t(significand)) * unit);
  const uint32_t not_finite = (exponent + 1u) >> 5;  // 1 if the exponent is 31
  return std::bit_cast<float>(sign | magnitude | not_finite * 0x7F800000u);
}

LASTROW_HD constexpr Half to_half(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return {static_cast<uint16_t>(sign | 0x7E00u)};   // NaN
  if (magnitude >= 0x477FF000u) return {static_cast<uint16_t>(sign | 0x7C00u)};  // ≥ 65520 rounds to ∞
  if (magnitude < 0x38800000u) {                                                 // below 2^-14: subnormal
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 102) return {sign};  // below 2^-25: rounds to 0
    const uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    const uint32_t shift = 126u - exponent;
    const uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u),
                   half = 1u << (shift - 1u);
    return {
        static_cast<uint16_t>(sign | (kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u)))};
  }
  const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

LASTROW_HD constexpr float to_float(BFloat16 b) { return std::bit_cast<float>(uint32_t(b.bits) << 16); }

LASTROW_HD constexpr BFloat16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};  // NaN
  return {static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16)};
}

LASTROW_HD constexpr float to_float(Fp8E4M3 f) {
  const uint32_t sign = uint32_t(f.bits & 0x80u) << 24;
  const uint32_t exponent = (f.bits >> 3) & 0xFu, mantissa = f.bits & 7u;
  const uint32_t significand = mantissa | (exponent != 0 ? 8u : 0u);
  const float unit = std::bit_cast<float>(((exponent != 0 ? exponent : 1u) + 117u) << 23);  // 2^(e − 10)
  const uint32_t magnitude = std::bit_cast<uint32_t>(float(int32_t(significand)) * unit);
  return std::bit_cast<float>(sign | magnitude | ((f.bits & 0x7Fu) == 0x7Fu ? 0x7FC00000u : 0u));
}

LASTROW_HD constexpr Fp8E4M3 to_fp8_e4m3(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint8_t>((bits >> 24) & 0x80u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return {static_cast<uint8_t>(sign | 0x7Fu)};   // NaN
  if (magnitude >= 0x43E00000u) return {static_cast<uint8_t>(sign | 0x7Eu)};  // ≥ 448 saturates
  if (magnitude < 0x3C800000u) {  // below 2^-6: subnormal, unit 2^-9
    const uint32_t exponent = magnitude >> 23;
    if (exponent < 117) return {sign};  // below 2^-10: rounds to 0
    const uint32_t mantissa = (magnitude & 0x7FFFFFu) | 0x800000u;
    const uint32_t shift = 141u - exponent;
    const uint32_t kept = mantissa >> shift, rest = mantissa & ((1u << shift) - 1u),
                   half = 1u << (shift - 1u);
    return {static_cast<uint8_t>(sign | (kept + ((rest > half || (rest == half && (kept & 1u))) ? 1u : 0u)))};
  }
  const uint32_t rounded = magnitude + 0x7FFFFu + ((magnitude >> 20) & 1u);
  if (rounded >= 0x43F00000u) return {static_cast<uint8_t>(sign | 0x7Eu)};
  return {static_cast<uint8_t>(sign | ((rounded - 0x3C000000u) >> 20))};
}

/// Rounds x to odd: takes the next float towards zero, and sets its last bit if it is not exactly x. If the
/// result is then rounded to a type with at most 22 bits of precision, the outcome is the same as if x itself
/// were rounded to that type. A finite x beyond the range of float gives the largest float. Infinity and NaN
/// stay as they are.
/// Source: Boldo and Melquiond 2008, "Emulation of FMA and correctly rounded sums".
LASTROW_HD constexpr float round_to_odd(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(x), magnitude = bits & 0x7FFF'FFFF'FFFF'FFFFu;
  const uint32_t sign = static_cast<uint32_t>(bits >> 32) & 0x8000'0000u;
  const auto exponent = static_cast<int32_t>(magnitude >> 52) - 896;  // with the bias of f32
  if (magnitude > 0x7FF0'0000'0000'0000u) return std::bit_cast<float>(sign | 0x7FC0'0000u);   // NaN
  if (magnitude == 0x7FF0'0000'0000'0000u) return std::bit_cast<float>(sign | 0x7F80'0000u);  // ∞
  if (exponent >= 255) return std::bit_cast<float>(sign | 0x7F7F'FFFFu);
  const uint64_t fraction = magnitude & 0xF'FFFF'FFFF'FFFFu;  // 52 bits, of which f32 keeps 23
  // A subnormal f32 has no implicit bit, and loses one more bit for each step below the smallest exponent.
  const uint64_t significand = exponent > 0 ? fraction : fraction | 0x10'0000'0000'0000u;
  const int32_t dropped = exponent > 0 ? 29 : 30 - exponent;
  if (dropped > 53) return std::bit_cast<float>(sign | (magnitude != 0 ? 1u : 0u));
  const uint64_t kept = significand >> dropped, rest = significand & ((uint64_t{1} << dropped) - 1u);
  const uint32_t high = exponent > 0 ? static_cast<uint32_t>(exponent) << 23 : 0u;
  return std::bit_cast<float>(sign | high | static_cast<uint32_t>(kept) | (rest != 0 ? 1u : 0u));
}

LASTROW_HD constexpr Half to_half(double x) { return to_half(round_to_odd(x)); }
LASTROW_HD constexpr BFloat16 to_bfloat16(double x) { return to_bfloat16(round_to_odd(x)); }
LASTROW_HD constexpr Fp8E4M3 to_fp8_e4m3(double x) { return to_fp8_e4m3(round_to_odd(x)); }

}  // namespace lastrow
