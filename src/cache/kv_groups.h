// Rows of fp4 and int4: two elements in a byte (core/four_bits.h), and one f16 scale for each group of 32.
//
//   encode_groups(row, n, stored, scales);   row [n], n even → Fp4x2* or Int4x2* [n / 2], Half* [n_groups(n)]
//   decode_groups(stored, scales, n, row);   back to row [n], f32
//
// The groups of a row begin at 0, 32, 64, …; the last one may be shorter. The scale of a group is
// max|x| / 6 for fp4 and max|x| / 7 for int4, rounded to f16. An element is its code's number times the scale.
//
//   a group with NaN or infinity                the scale is NaN, and all its elements decode to NaN
//   max|x| / 6 (/ 7) below 2^-21                the scale is 0, and all its elements decode to 0
//   max|x| / 6 (/ 7) above 65504, f16's largest the scale is 65504; larger elements become ±6 (±7) · 65504
//
// A scale below 2^-21 would have fewer than four bits. Then the largest element might not get the largest
// code. With four bits or more it always gets it, so a decoded row encodes to the same bits again.
//
// Invariant: decoding is exact, because a number has at most 3 bits and a scale 11. Where the scale is not 0 or
// 65504, |x − decoded| is at most 0.50001 of the distance between the two numbers around x (int4: of the scale).
//
// A kernel whose lanes share a group first finds the largest magnitude of the group, then calls group_scale and
// code_of.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cache/kv_codec.h"
#include "core/conversions.h"
#include "core/four_bits.h"

namespace lastrow {

template <typename T>
constexpr bool is_grouped = std::is_same_v<T, Fp4x2> || std::is_same_v<T, Int4x2>;

template <typename T>
LASTROW_HD constexpr float number_of(uint32_t code) {
  return std::is_same_v<T, Fp4x2> ? fp4_number(code) : int4_number(code);
}

/// The scale of a group, from the largest magnitude_of(x) of its elements.
template <typename T>
LASTROW_HD constexpr Half group_scale(uint32_t max_magnitude) {
  constexpr float kLargest = std::is_same_v<T, Fp4x2> ? kLargestFp4 : kLargestInt4;
  if (max_magnitude >= 0x7F80'0000u) return {0x7E00};  // NaN
  const Half scale = to_half(std::bit_cast<float>(max_magnitude) / kLargest);
  if (scale.bits < 8) return {0};            // below 8 · 2^-24
  if (scale.bits > 0x7BFF) return {0x7BFF};  // 65504
  return scale;
}

/// The code of an element, given the scale of its group.
template <typename T>
LASTROW_HD constexpr uint32_t code_of(float x, float scale) {
  const float ratio = scale > 0 ? x / scale : 0.0f;
  return std::is_same_v<T, Fp4x2> ? fp4_code(ratio) : int4_code(ratio);
}

/// Most loops have a constant length, so that a compiler can use vector instructions.
template <typename T>
constexpr void encode_groups(const float* row, int32_t n, T* stored, Half* scales) {
  for (int32_t begin = 0; begin < n; begin += kScaleGroup) {
    const int32_t n_here = begin + kScaleGroup < n ? kScaleGroup : n - begin;
    float group[kScaleGroup] = {};
    for (int32_t d = 0; d < n_here; ++d) group[d] = row[begin + d];
    uint32_t largest = 0;
    for (const float x : group) largest = magnitude_of(x) > largest ? magnitude_of(x) : largest;
    const Half half = group_scale<T>(largest);
    const float scale = to_float(half);
    uint32_t codes[kScaleGroup] = {};
    for (int32_t d = 0; d < kScaleGroup; ++d) codes[d] = code_of<T>(group[d], scale);
    for (int32_t i = 0; i < n_here / 2; ++i)
      stored[begin / 2 + i].bits = packed(codes[2 * i], codes[2 * i + 1]);
    *scales++ = half;
  }
}

/// The two numbers of each byte.
template <typename T>
constexpr auto kNumbersOf = [] {
  std::array<std::array<float, 2>, 256> numbers{};
  for (size_t bits = 0; bits < numbers.size(); ++bits) {
    const auto byte = static_cast<uint8_t>(bits);
    numbers[bits] = {number_of<T>(first_code(byte)), number_of<T>(second_code(byte))};
  }
  return numbers;
}();

template <typename T>
void decode_groups(const T* stored, const Half* scales, int32_t n, float* row) {
  for (int32_t begin = 0; begin < n; begin += kScaleGroup) {
    const int32_t end = begin + kScaleGroup < n ? begin + kScaleGroup : n;
    const float scale = to_float(*scales++);
    for (int32_t i = begin / 2; i < end / 2; ++i)
      std::memcpy(row + 2 * i, kNumbersOf<T>[stored[i].bits].data(), 2 * sizeof(float));
    for (int32_t d = begin; d < end; ++d) row[d] *= scale;
  }
}

}  // namespace lastrow
