// Rows of K or of V whose stored type is known only when the kernel runs: loaded by their bits, widened by
// their type.
//
//   const AnyRows rows = any_rows(call, RowKind::k);      on the host
//   AnyElems r_row[kRowsAhead];
//   load_rows(rows, r_places, d, r_row);                  elements d … d + 7 of each row; −1: zeros
//   with_row_type(rows.dtype, [&]<typename T>(T) {        one branch for all threads, and for many rows
//     widen<T>(r_row[j], x);                              x [8], multiplied by their scale
//   });
//
// Eight elements are 8, 4, 2 or 1 words, and never belong to two groups of a scale. So a lane that has eight
// elements of each row needs one load (f32: two), and at most one scale, in every type.
// head_dim must be a multiple of 8. The product with a scale is exact (cache/kv_codec.h).
#pragma once

#include "cache/kv_groups.h"
#include "gpu/parts/lane_rows.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kAnyElems = 8;  // of a row, for one lane

struct AnyRows {
  Global<const uint32_t> g_words;     // [n_blocks, n_kv_heads, block_len, row_words]
  Global<const float> g_scales;       // [n_blocks, n_kv_heads, block_len]             int8 only
  Global<const Half> g_group_scales;  // [n_blocks, n_kv_heads, block_len, n_scales]   int4 and fp4 only
  DType dtype;
  int32_t head_dim, lane_words, row_words;  // words of kAnyElems elements, and of a row
  int32_t n_scales;                         // of a row
};

/// Eight elements as they are stored.
struct AnyElems {
  uint32_t words[kAnyElems];
  float scale;
};

inline AnyRows any_rows(const gpu::AttendCall& c, RowKind kind) {
  const gpu::AttendShape& s = c.task.shape;
  const DType dtype = s.kv_dtype.of(kind);
  const bool is_k = kind == RowKind::k;
  const void* const scales = is_k ? c.k_scales : c.v_scales;
  const int64_t n_rows = s.n_blocks * s.n_kv_heads * s.block_len, n_of_row = n_scales(dtype, s.head_dim);
  const auto lane_words =
      static_cast<int32_t>(kAnyElems / numbers_in(dtype) * static_cast<int64_t>(size_of(dtype)) / 4);
  const int32_t row_words = s.head_dim / kAnyElems * lane_words;
  return {
      .g_words = {static_cast<const uint32_t*>(is_k ? c.k : c.v), n_rows * row_words, is_k ? "g_k" : "g_v"},
      .g_scales = {static_cast<const float*>(scales), dtype == DType::i8 ? n_rows : 0, "g_scales"},
      .g_group_scales = {static_cast<const Half*>(scales), has_groups(dtype) ? n_rows * n_of_row : 0,
                         "g_group_scales"},
      .dtype = dtype,
      .head_dim = s.head_dim,
      .lane_words = lane_words,
      .row_words = row_words,
      .n_scales = static_cast<int32_t>(n_of_row)};
}

template <int32_t kWords, int32_t kRows>
__device__ inline void load_words(const AnyRows& rows, const int32_t (&r_places)[kRows], int32_t d,
                                  AnyElems (&r_rows)[kRows]) {
  constexpr int32_t kLoad = kWords < 4 ? kWords : 4;
  for (int32_t j = 0; j < kRows; ++j)
    for (int32_t w = 0; w < kWords; w += kLoad) {
      const int64_t at = int64_t{r_places[j]} * rows.row_words + d / kAnyElems * kWords + w;
      const auto loaded =
          rows.g_words.template load_vec_or_zero<kLoad>(at, r_places[j] >= 0 && d < rows.head_dim);
      for (int32_t i = 0; i < kLoad; ++i) r_rows[j].words[w + i] = loaded.x[i];
    }
}

/// Loads elements d … d + 7 of the rows at r_places, which count through [n_blocks, n_kv_heads, block_len].
template <int32_t kRows>
__device__ inline void load_rows(const AnyRows& rows, const int32_t (&r_places)[kRows], int32_t d,
                                 AnyElems (&r_rows)[kRows]) {
  switch (rows.lane_words) {
    case 8:
      load_words<8>(rows, r_places, d, r_rows);
      break;
    case 4:
      load_words<4>(rows, r_places, d, r_rows);
      break;
    case 2:
      load_words<2>(rows, r_places, d, r_rows);
      break;
    default:
      load_words<1>(rows, r_places, d, r_rows);
  }
  for (int32_t j = 0; j < kRows; ++j) {
    r_rows[j].scale = 0;
    if (rows.n_scales == 0 || r_places[j] < 0 || d >= rows.head_dim) continue;
    r_rows[j].scale =
        rows.dtype == DType::i8
            ? rows.g_scales.load(r_places[j])
            : to_float(rows.g_group_scales.load(int64_t{r_places[j]} * rows.n_scales + d / kScaleGroup));
  }
}

/// Calls f with a zero of one of Ts that has this dtype.
template <typename... Ts, typename F>
__device__ inline void with_one_of(DType dtype, const F& f) {
  ((dtype == dtype_of<Ts> ? f(Ts{}) : void()), ...);
}

/// The same for every type in which rows are stored.
template <typename F>
__device__ inline void with_row_type(DType dtype, const F& f) {
  with_one_of<float, Half, BFloat16, Fp8E4M3, int8_t, Int4x2, Fp4x2>(dtype, f);
}

template <typename T>
__device__ inline void widen(const AnyElems& r_row, float (&x)[kAnyElems]) {
  if constexpr (is_grouped<T>) {
    for (int32_t i = 0; i < kAnyElems; ++i) x[i] = number_of<T>(r_row.words[0] >> 4 * i & 15u);
  } else {
    constexpr int32_t kOfWord = 4 / sizeof(T);
    for (int32_t w = 0; w < kAnyElems / kOfWord; ++w) widen_word<T>(r_row.words[w], x + w * kOfWord);
  }
  if constexpr (scale_bytes(dtype_of<T>) > 0)
    for (int32_t i = 0; i < kAnyElems; ++i) x[i] *= r_row.scale;
}

}  // namespace lastrow::LASTROW_TARGET
