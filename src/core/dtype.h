// Element types: their names, their sizes, and the C++ types that stand for them.
//
//   size_of(DType::f16)                                2
//   name_of(DType::fp8_e4m3)                           "fp8"
//   dtype_of<Half>                                     DType::f16
//   with_type(dtype, []<typename T>(T) { … });         from a dtype to its C++ type
//
// core/conversions.h converts single elements from and to float.
//
// fp4 and int4 have 4 bits. Two elements share a byte, the first one in the low half. A tensor of them has the
// C++ type Fp4x2 or Int4x2: it counts and addresses these bytes. core/four_bits.h has their conversions.
//
// int8-channel has the same codes as i8. It is a type of its own because its scales belong to columns of a block of
// rows, not to rows (cache/kv_channels.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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
