// Element types and their conversions, the same on host and device.
//
// Narrowing rounds to nearest, ties to even. f16 and bf16 overflow to infinity; fp8 (e4m3, no infinities)
// saturates at ±448. NaN stays NaN everywhere.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/host_device.h"

namespace lastrow {

enum class DType : uint8_t { f64, f32, f16, bf16, fp8_e4m3, i64, i32, i8, u8 };

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

/// "f32", "bf16", … as options and messages spell it.
std::string_view name_of(DType dtype);
/// The inverse of name_of ("fp8" is accepted for fp8_e4m3). Throws UsageError naming the known ones.
DType dtype_from_name(std::string_view name);

/// Storage-only types: arithmetic happens in float.
struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};
struct Fp8E4M3 {
  uint8_t bits;
};

LASTROW_HD constexpr float to_float(Half h) {
  const uint32_t sign = uint32_t(h.bits & 0x8000u) << 16;
  const uint32_t exponent = (h.bits >> 10) & 0x1Fu;
  const uint32_t mantissa = h.bits & 0x3FFu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  const float magnitude = float(mantissa) * 0x1p-24f;  // subnormal: exact in f32
  return sign != 0 ? -magnitude : magnitude;
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
  if (exponent == 15 && mantissa == 7) return std::bit_cast<float>(sign | 0x7FC00000u);
  if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 120u) << 23) | (mantissa << 20));
  const float magnitude = float(mantissa) * 0x1p-9f;
  return sign != 0 ? -magnitude : magnitude;
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

template <typename T>
constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace lastrow
