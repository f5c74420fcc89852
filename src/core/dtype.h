// Element types and their conversions, the same on host and device.
//
// A conversion to a narrower type rounds once, to nearest, with ties to even. This also holds from double.
//
//   f16, bf16     a number that is too large becomes infinity
//   fp8 (e4m3)    has no infinity; a number that is too large becomes ±448
//   all types     NaN stays NaN
//
// fp4 and int4 have 4 bits. Two elements share a byte, the first one in the low half. A tensor of them has the
// C++ type Fp4x2 or Int4x2: it counts and addresses these bytes. core/four_bits.h has their conversions.
//
// int8-channel has the same codes as i8. It is a type of its own because its scales belong to columns of a block of
// rows, not to rows (cache/kv_channels.h).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/host_device.h"

namespace lastrow {

enum class DType : uint8_t { f64, f32, f16, bf16, fp8_e4m3, i64, i32, i8, u8, fp4x2, i4x2, i8_channel };

/// How many numbers one element of a tensor holds: 2 for the types with 4 bits.
constexpr int64_t numbers_in(DType dtype) { return dtype == DType::fp4x2 || dtype == DType::i4x2 ? 2 : 1; }

constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 1;
  }
}

/// The name in options, messages and files: f64 f32 f16 bf16 fp8 (which is e4m3) i64 i32 i8 u8 fp4 int4
/// int8-channel.
std::string_view name_of(DType dtype);
/// The inverse of name_of. Throws UsageError that lists the known names for any other text.
DType dtype_from_name(std::string_view name);

/// These types only store numbers. Arithmetic is done in float.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
struct Fp8E4M3 {
  uint8_t bits;
};
struct Fp4x2 {
  uint8_t bits;
};
struct Int4x2 {
  uint8_t bits;
};
struct Int8Channel {
  int8_t code;
};

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

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<Half> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<Fp8E4M3> {
  static constexpr DType value = DType::fp8_e4m3;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::i8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<Fp4x2> {
  static constexpr DType value = DType::fp4x2;
};
template <>
struct DTypeOf<Int4x2> {
  static constexpr DType value = DType::i4x2;
};
template <>
struct DTypeOf<Int8Channel> {
  static constexpr DType value = DType::i8_channel;
};

template <typename T>
constexpr DType dtype_of = DTypeOf<T>::value;

/// Calls f with a zero of the C++ type that has this dtype: with_type(dtype, []<typename T>(T) { … }).
template <typename F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f(double{});
    case DType::f32:
      return f(float{});
    case DType::f16:
      return f(Half{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::fp8_e4m3:
      return f(Fp8E4M3{});
    case DType::i64:
      return f(int64_t{});
    case DType::i32:
      return f(int32_t{});
    case DType::i8:
      return f(int8_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::fp4x2:
      return f(Fp4x2{});
    case DType::i4x2:
      return f(Int4x2{});
    case DType::i8_channel:
      return f(Int8Channel{});
  }
}

}  // namespace lastrow
