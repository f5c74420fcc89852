// How a row of K or V is stored: its elements in the cache's type, and for int8, int4 and fp4 scales.
//
//   const float scale = encode_row(row, head_dim, stored);   row [head_dim] of one K/V head → T* stored
//   float x = decode(stored[d], scale);                      one element; decode_row decodes the whole row
//   DType dtype = kv_dtype_from_name("int8");                from the name on a command line
//   KvDtypes dtypes = kv_dtypes_from_name("k=int8,v=fp8");   K and V may have different types
//
//   type          a stored element                                        scale of a row
//   f32           x                                                       none (1)
//   f16 bf16      x, rounded once (core/conversions.h)                    none (1)
//   fp8 (e4m3)    x, rounded once; saturates at ±448                      none (1)
//   i8 ("int8")   x / scale, rounded to nearest, ties to even: ±127       f32: max|x| / 127, 17 bits kept
//   int4          4 bits, two elements in a byte: ±7                      f16 for each group of 32 elements
//   fp4 (e2m1)    the same: ±6                                            the same
//   int8-channel  as int8; K only                                         f32 for each channel of a block
//
// int4 and fp4: cache/kv_groups.h encodes and decodes their rows. head_dim must be even. int8-channel: see
// cache/kv_channels.h; a row alone cannot be encoded.
//
// int8. The scale keeps 17 significant bits; the lower bits are cut off. A code has 7 bits, so code · scale
// has at most 24 bits and is exact in f32. So it does not matter where a kernel multiplies by the scale: the
// element, the score (for K) or p (for V). If a decoded row is encoded again, the codes and the scale are the
// same. So reading a row and writing it back changes nothing. If all elements of a row are below 2^-100, its
// scale is 0 and it decodes to zeros. If a row holds NaN or infinity, its scale is NaN and all its elements
// decode to NaN.
//
// The scales of K (or of V) of one layer are [n_blocks, n_kv_heads, block_len]: scale_offset in
// cache/index.h. int4 and fp4 have n_scales of them at each place. A kernel in which several threads share
// a row first finds the largest magnitude_of, then calls int8_scale and to_int8.
//
// Invariant: decode is exact. Only encode_row loses precision; for int8, |x − decoded| ≤ 0.50001 · scale. So
// an attention kernel is compared with attention over the decoded rows.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/conversions.h"
#include "core/dtype.h"
#include "core/host_device.h"

namespace lastrow {

enum class RowKind : uint8_t { k, v };

/// The types in which K and V are stored. One type stands for both: a DType converts to a pair.
struct KvDtypes {
  DType k = DType::f32, v = DType::f32;

  constexpr KvDtypes() = default;
  constexpr KvDtypes(DType both) : k(both), v(both) {}
  constexpr KvDtypes(DType of_k, DType of_v) : k(of_k), v(of_v) {}
  constexpr DType of(RowKind kind) const { return kind == RowKind::k ? k : v; }
  constexpr bool same() const { return k == v; }
  bool operator==(const KvDtypes&) const = default;
};

constexpr bool is_kv_dtype(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::fp8_e4m3 ||
         dtype == DType::i8 || dtype == DType::fp4x2 || dtype == DType::i4x2 || dtype == DType::i8_channel;
}

constexpr int32_t kScaleGroup = 32;  // elements of a row that share a scale in int4 and fp4
constexpr int64_t n_groups(int64_t head_dim) { return (head_dim + kScaleGroup - 1) / kScaleGroup; }

constexpr bool has_groups(DType dtype) { return numbers_in(dtype) > 1; }
/// Whether a scale belongs to a column of a block, not to a row.
constexpr bool has_channel_scales(DType dtype) { return dtype == DType::i8_channel; }
/// Whether a row of K or V is encoded by itself, without the other rows of its block.
constexpr bool encodes_rows(DType dtype) { return is_kv_dtype(dtype) && !has_channel_scales(dtype); }
/// Bytes of one scale of a row; 0 if rows have no scales.
constexpr int64_t scale_bytes(DType dtype) { return dtype == DType::i8 ? 4 : has_groups(dtype) ? 2 : 0; }
/// Scales of a row: 0, 1, or one for each group.
constexpr int64_t n_scales(DType dtype, int64_t head_dim) {
  return has_groups(dtype) ? n_groups(head_dim) : dtype == DType::i8 ? 1 : 0;
}
/// Bytes of a row with its scales.
constexpr int64_t stored_row_bytes(DType dtype, int64_t head_dim) {
  const int64_t elems = (head_dim + numbers_in(dtype) - 1) / numbers_in(dtype);
  return elems * static_cast<int64_t>(size_of(dtype)) + n_scales(dtype, head_dim) * scale_bytes(dtype);
}

/// Takes f32, f16, bf16, fp8, int8, int4, fp4 or int8-channel. Throws UsageError for another name; the message lists
/// these names.
DType kv_dtype_from_name(std::string_view name);
/// The inverse of kv_dtype_from_name: DType::i8 gives "int8".
std::string_view kv_dtype_name(DType dtype);

/// The names of the types of K and of V: "k=X,v=Y" or "v=Y,k=X" → {X, Y}; a text without '=' and ',' → {text, text},
/// but "int8-channel" → {"int8-channel", "int8"}. Empty for any other text. The names may be unknown.
std::optional<std::pair<std::string_view, std::string_view>> split_k_and_v(std::string_view text);
/// Throws the UsageError for V with scales for channels.
[[noreturn]] void refuse_channel_scales_of_v();
/// Takes one name for both ("int8"), or one for each ("k=int8,v=fp8"), as users write them in
/// --kv-dtype. "int8-channel" alone stands for K; V is then int8. Throws UsageError that lists the spellings.
KvDtypes kv_dtypes_from_name(std::string_view text);
/// The inverse: "int8" if both are equal, else "k=int8,v=fp8"; "int8-channel" for that K and int8 V.
std::string kv_dtypes_name(KvDtypes dtypes);

// ---- one element

/// The bits of |x|. As integers they have the same order as |x|; then come infinity and NaN.
LASTROW_HD constexpr uint32_t magnitude_of(float x) { return std::bit_cast<uint32_t>(x) & 0x7FFF'FFFFu; }

/// The scale of an int8 row, from the largest magnitude_of(x) of its elements.
LASTROW_HD constexpr float int8_scale(uint32_t max_magnitude) {
  if (max_magnitude >= 0x7F80'0000u) return std::bit_cast<float>(0x7FC0'0000u);  // NaN or ∞ in the row
  if (max_magnitude < 0x0D80'0000u) return 0.0f;                                 // below 2^-100
  const float scale = std::bit_cast<float>(max_magnitude) / 127.0f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scale) & ~0x7Fu);
}

/// The int8 code of an element, given the scale of its row.
LASTROW_HD constexpr int8_t to_int8(float x, float scale) {
  if (!(scale > 0)) return 0;
  constexpr float kToNearest = 0x1.8p23f;  // a sum with it has no bits below 1, so it rounds to nearest
  return static_cast<int8_t>(x / scale + kToNearest - kToNearest);
}

LASTROW_HD constexpr float decode(float x, float = 1) { return x; }
LASTROW_HD constexpr float decode(Half x, float = 1) { return to_float(x); }
LASTROW_HD constexpr float decode(BFloat16 x, float = 1) { return to_float(x); }
LASTROW_HD constexpr float decode(Fp8E4M3 x, float = 1) { return to_float(x); }
LASTROW_HD constexpr float decode(int8_t code, float scale) { return static_cast<float>(code) * scale; }

// ---- one row

/// row [n] → stored [n]. Returns the scale of the row, or 1 if the type has no scales.
template <typename T>
LASTROW_HD constexpr float encode_row(const float* row, int32_t n, T* stored) {
  if constexpr (std::is_same_v<T, int8_t>) {
    uint32_t largest = 0;
    for (int32_t d = 0; d < n; ++d) largest = magnitude_of(row[d]) > largest ? magnitude_of(row[d]) : largest;
    const float scale = int8_scale(largest);
    for (int32_t d = 0; d < n; ++d) stored[d] = to_int8(row[d], scale);
    return scale;
  } else {
    for (int32_t d = 0; d < n; ++d) {
      if constexpr (std::is_same_v<T, Half>)
        stored[d] = to_half(row[d]);
      else if constexpr (std::is_same_v<T, BFloat16>)
        stored[d] = to_bfloat16(row[d]);
      else if constexpr (std::is_same_v<T, Fp8E4M3>)
        stored[d] = to_fp8_e4m3(row[d]);
      else
        stored[d] = row[d];
    }
    return 1;
  }
}

/// stored [n] → row [n].
template <typename T>
LASTROW_HD constexpr void decode_row(const T* stored, float scale, int32_t n, float* row) {
  for (int32_t d = 0; d < n; ++d) row[d] = decode(stored[d], scale);
}

}  // namespace lastrow
