// How large a cache is, and how it stores its rows. A policy plans with these numbers, and a backend makes
// storage from them.
//
//   const CacheSpec spec = CacheSpec::contiguous(n_layers, n_kv_heads, head_dim, max_seq_len);
//   validate(spec);                                      every cache and make_storage call it
//   spec.bytes()                                         of K, V and scales in all layers
#pragma once

#include <cstdint>

#include "cache/index.h"
#include "cache/kv_codec.h"
#include "core/dtype.h"

namespace lastrow {

/// The size of a cache and the types of its elements. A backend makes storage from it.
struct CacheSpec {
  int32_t n_layers = 0;
  int32_t n_kv_heads = 0;
  int32_t head_dim = 0;
  int32_t max_seq_len = 0;     // tokens that a sequence may have
  int32_t block_len = 0;       // contiguous: max_seq_len
  int32_t n_blocks = 0;        // contiguous: one for each sequence
  DType dtype_k = DType::f32;  // of stored elements: one that is_kv_dtype (cache/kv_codec.h)
  DType dtype_v = DType::f32;  // may differ from that of K
  // Only for caches that forget rows; 0 in others:
  int32_t held_rows = 0;  // indices that a sequence may hold at once, the rows of its longest step included
  int32_t table_len = 0;  // entries of a block table: a ring that wraps within a block lists it twice

  RowLayout layout() const { return {n_kv_heads, block_len, head_dim}; }
  /// Indices that a sequence may hold at once.
  int32_t max_kv_len() const { return held_rows > 0 ? held_rows : max_seq_len; }
  int32_t max_blocks_per_seq() const {
    return table_len > 0 ? table_len : (max_kv_len() + block_len - 1) / block_len;
  }
  /// Rows of K (or of V) of one layer, one for each slot and K/V head.
  int64_t layer_rows() const { return int64_t{n_blocks} * n_kv_heads * block_len; }
  KvDtypes dtypes() const { return {dtype_k, dtype_v}; }
  /// Bytes of one row of K or of V: its elements, and its scales if the type has them.
  int64_t row_bytes(RowKind kind) const { return stored_row_bytes(dtypes().of(kind), head_dim); }
  /// Bytes of all layers: n_layers · n_kv_heads · slots · (row of K + row of V).
  int64_t bytes() const { return n_layers * layer_rows() * (row_bytes(RowKind::k) + row_bytes(RowKind::v)); }

  /// One block of max_seq_len indices for each of n_seqs sequences.
  static CacheSpec contiguous(int32_t n_layers, int32_t n_kv_heads, int32_t head_dim, int32_t max_seq_len,
                              int32_t n_seqs = 1, KvDtypes dtypes = {});
};

/// Throws ShapeError unless every size is positive, the blocks can hold one sequence of max_seq_len, K and V
/// can be stored in the dtype (int4 and fp4: only an even head_dim), and bytes() fits int64.
void validate(const CacheSpec& spec);

}  // namespace lastrow
