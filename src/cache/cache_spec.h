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
#include "cache/sealing.h"
#include "core/dtype.h"

namespace lastrow {

// In some models only every n-th layer has a window (Gemma 2). Such layers can have a ring of their own. The layers
// then form two groups, and all that belongs to a group exists twice:
//
//                          group 0: layers that see all keys   group 1: layers 0, every, … with the window
//   sizes                  CacheSpec::n_blocks, held_rows, …   CacheSpec::windowed       group(i): one by itself
//   bookkeeping            AlternatingCache: a paged cache     a window cache            KvCache::of_layer(layer)
//   arrays of a step       StepPlan                            StepPlan::of_windowed     StepPlan::of_layer(layer)
//   the same on a device   Batch                               Batch::of_windowed        Batch::of_layer(layer)
//
// With one group, of_layer returns the object itself. `completed` (session/session_cache.h) decides whether there are
// two.

/// Layers that have blocks of their own: 0, every, 2·every, … In a model whose layers alternate, these are the
/// layers with a window. Their blocks have the length and the types of the other layers' blocks.
struct WindowedLayers {
  int32_t every = 0;      // 0: no layer; all layers have the same blocks
  int32_t n_blocks = 0;   // as CacheSpec::n_blocks
  int32_t held_rows = 0;  // as CacheSpec::held_rows
  int32_t table_len = 0;  // as CacheSpec::table_len

  bool has(int32_t layer) const { return every > 0 && layer % every == 0; }
  /// How many of the layers 0 … n − 1 they are.
  int32_t count(int32_t n) const { return every > 0 ? (n + every - 1) / every : 0; }
};

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
  WindowedLayers windowed{};  // n_blocks, held_rows and table_len above are those of the other layers
  // Only if K has a scale for each channel of a block (cache/sealing.h); 0 in others:
  int32_t longest_step = 0;   // tokens of a sequence that a step feeds at most
  int32_t n_open_blocks = 0;  // blocks of K rows in f32, in each layer

  RowLayout layout() const { return {n_kv_heads, block_len, head_dim}; }
  /// Indices that a sequence may hold at once.
  int32_t max_kv_len() const { return held_rows > 0 ? held_rows : max_seq_len; }
  /// The same in one layer.
  int32_t max_kv_len_of(int32_t layer) const {
    return windowed.has(layer) ? windowed.held_rows : max_kv_len();
  }
  int32_t max_blocks_per_seq() const {
    return table_len > 0 ? table_len : (max_kv_len() + block_len - 1) / block_len;
  }
  /// The layers that share block tables form a group. Group 1 has the windowed layers, group 0 all others.
  int32_t n_groups() const { return windowed.every > 0 ? 2 : 1; }
  int32_t group_of(int32_t layer) const { return windowed.has(layer) ? 1 : 0; }
  /// The spec of one group by itself: its layers and blocks.
  CacheSpec group(int32_t i) const;
  int32_t n_layers_in(int32_t group) const {
    const int32_t n = windowed.count(n_layers);
    return group == 1 ? n : n_layers - n;
  }
  int32_t n_blocks_of(int32_t layer) const { return windowed.has(layer) ? windowed.n_blocks : n_blocks; }
  /// Slots of one layer. Each has a row for each K/V head.
  int64_t n_slots(int32_t layer) const { return int64_t{n_blocks_of(layer)} * block_len; }
  /// Whether some layer forgets rows of a text that goes on.
  bool forgets() const { return held_rows > 0 || windowed.held_rows > 0; }

  /// Rows of K (or of V) of one layer, one for each slot and K/V head.
  int64_t layer_rows(int32_t layer) const { return n_slots(layer) * n_kv_heads; }
  KvDtypes dtypes() const { return {dtype_k, dtype_v}; }
  /// When blocks are sealed. Only if has_channel_scales(dtype_k).
  Sealing sealing() const { return {block_len, longest_step}; }
  /// Whether a row that a sequence holds may be overwritten or rounded later. Then a caller that may have to undo
  /// several steps must copy the rows first.
  bool changes_held_rows() const { return forgets() || has_channel_scales(dtype_k); }
  /// Bytes of one row of K or of V: its elements, and its scales if the type has scales for rows.
  int64_t row_bytes(RowKind kind) const { return stored_row_bytes(dtypes().of(kind), head_dim); }
  /// Bytes of the scales of the channels of one block of K, in one layer and K/V head; 0 without them.
  int64_t channel_scales_bytes() const { return has_channel_scales(dtype_k) ? 4 * int64_t{head_dim} : 0; }
  /// Bytes of all layers: Σ_layers n_kv_heads · (slots · (row of K + row of V) + n_blocks · channel_scales_bytes()
  /// + n_open_blocks · block_len · head_dim · 4).
  int64_t bytes() const { return bytes_of(RowKind::k) + bytes_of(RowKind::v); }
  /// The same of K, or of V.
  int64_t bytes_of(RowKind kind) const;

  /// One block of max_seq_len indices for each of n_seqs sequences.
  static CacheSpec contiguous(int32_t n_layers, int32_t n_kv_heads, int32_t head_dim, int32_t max_seq_len,
                              int32_t n_seqs = 1, KvDtypes dtypes = {});
};

/// Throws ShapeError unless every size is positive, the blocks can hold one sequence of max_seq_len, K and V
/// can be stored in the dtype (int4 and fp4: only an even head_dim; int8-channel: only K, and with open blocks), and
/// bytes() fits int64.
void validate(const CacheSpec& spec);

}  // namespace lastrow
