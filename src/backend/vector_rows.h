// The sums of attention over one tile of stored rows, in the processor's vector registers.
//
//   const vector_rows::Rows k{…}, v{…};                                  up to a tile of rows of any stored type
//   vector_rows::dot(k, q, n_heads, scores, stride, v);                  scores = K · q, for all heads of a group
//   vector_rows::add(v, weights, stride, factors, n_heads, acc, …, k2);  acc += Vᵀ · weights, for all heads
//
// row_sums.h and EncodedRows::decode do the same in clear text; this is for speed, and a test compares both.
// What makes it faster:
//   * A row is loaded into registers once for up to four heads, and one load serves as many multiply-adds.
//   * While it computes on kBlock rows, it prefetches the next kBlock. Behind the last of them, those are the
//     first ones of what is needed next (the last argument).
//   * Rows of narrow types are decoded a vector at a time, kBlock rows at once, which stay in the first-level
//     cache until they are used.
//
// It is written with Google Highway, for the instruction set that its source is compiled for. If Highway was not
// found, is_built() is false and nothing else may be called.
//
// Invariant: the order of every sum depends on head_dim and the number of rows only: not on where rows are, on
// how many heads share them or on the type in which they are stored. A score does not depend on other rows. A
// decoded row has the bits that cache/kv_codec.h and kv_groups.h define. (Only a signalling NaN in f16, which
// encoding never makes, becomes a quiet one.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace lastrow::vector_rows {

constexpr int32_t kBlock = 16;         // rows that are prefetched, decoded, and added to acc at once
constexpr int64_t kMostHeadDim = 512;  // so that decoded rows fit on the stack

bool is_built();
/// "1.0.3 for AVX3_DL": the version of Highway, and its name of the instruction set. "" if not built.
std::string description();

/// n stored rows [head_dim], each at its own address.
struct Rows {
  DType dtype = DType::f32;  // f32, or an encoded type
  int32_t n = 0;
  int64_t head_dim = 0;                      // at most kMostHeadDim
  int64_t row_bytes = 0;                     // of a row without its scales
  const std::byte* const* stored = nullptr;  // [n]
  // [n]   f32 for int8, f16 [n_groups] for int4 and fp4; else unused. For int8-channel f32 [head_dim], or nullptr if
  // this row is still stored in f32.
  const std::byte* const* scales = nullptr;
};

/// scores[j · stride + i] = row i · q[j].   q [n_heads, head_dim]   scores [n_heads, stride]
/// stride is at least n rounded up to 4: up to three scores behind the n-th are overwritten. The first
/// rows of `next`, which may be empty, are prefetched.
void dot(const Rows& rows, const float* q, int64_t n_heads, float* scores, int64_t stride, const Rows& next);

/// acc[j] = acc[j] · factors[j] + Σ_i weights[j · stride + i] row i.
///   weights [n_heads, stride]   factors [n_heads]   acc [n_heads] of [head_dim], acc_stride apart
void add(const Rows& rows, const float* weights, int64_t stride, const float* factors, int64_t n_heads,
         float* acc, int64_t acc_stride, const Rows& next);

/// Decodes rows of an encoded type: row i goes to floats + i · head_dim.
void decode(const Rows& rows, float* floats);

}  // namespace lastrow::vector_rows
