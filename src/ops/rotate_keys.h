// Copies the stored keys of one layer to a scratch, and rotates the copies (RoPE) to the positions that they have in
// this step.
//   keys[slot(s),g,:] = RoPE(K[slot(s),g,:], position(s))   for the indices s < kv_len of each sequence
//   position(s) = key_positions[s] of the batch; s itself if the batch has none
//
//   backend.run(RotateKeys{{layer, site::kRotateKeys}, rope_table, batch, storage, keys});
//
// A cache that uses new positions stores K before RoPE, because a row gets another position whenever an older one
// is forgotten. Call it after Append and before the Attend that reads `keys` in place of the stored K.
// Source: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", section 3.2; the rotation:
// ops/rope.h.
#pragma once

#include "ops/kv_storage.h"
#include "ops/rope.h"

namespace lastrow {

namespace cost {

/// Reads n_rows stored rows of K in one layer, and writes them to the scratch. A head needs 3·head_dim flop, as in
/// rope(), and each row reads head_dim sines and cosines (f32).
constexpr OpCost rotate_keys(int64_t n_rows, int64_t n_kv_heads, int64_t head_dim, RowFormat k,
                             int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 3 * n_rows * n_kv_heads * head_dim,
          .cache_bytes_read = n_rows * n_kv_heads * k.row_bytes(head_dim),
          .activation_bytes = n_rows * head_dim * kF32Bytes,
          .scratch_bytes = n_rows * n_kv_heads * head_dim * activation_elem_bytes};
}

}  // namespace cost

struct RotateKeys {
  static constexpr OpTraits kTraits{.name = "rotate_keys", .rule = RowRule::rotated, .n_sources = 0};

  Site site;  // its layer is the layer of the storage
  const RopeTable& table;
  Batch batch;
  const KvStorage& storage;
  // [n_blocks, n_kv_heads, block_len, head_dim]   the held rows, in the slots of the storage
  TensorView keys;

  /// Also throws ShapeError for a position beyond the table.
  void check() const {
    require_layer(site, storage);
    require_rotated(keys, storage);
    require_shape("RoPE table", table.cos.shape(), {table.cos.shape()[0], storage.spec().head_dim / 2});
    const StepPlan& plan = *batch.plan;
    const auto& positions = plan.effective_key_positions();
    for (int32_t i = 0; i < plan.n_seqs(); ++i)
      for (int32_t s = 0; s < plan.kv_len[i]; ++s) {
        const int32_t position = positions.empty() ? s : positions[i * plan.keys_per_seq() + s];
        if (position < 0 || position >= table.cos.shape()[0])
          throw ShapeError("key {} at position {}: the RoPE table was made for {} positions", s, position,
                           table.cos.shape()[0]);
      }
  }
  /// Its rows are stored rows and their copies, so they are not among the tensors.
  Operands operands() const { return {.reads = {}, .writes = {}}; }
  OpCost cost() const {
    int64_t n_rows = 0;
    for (const int32_t kv_len : batch.plan->kv_len) n_rows += kv_len;
    const CacheSpec& spec = storage.spec();
    return cost::rotate_keys(n_rows, spec.n_kv_heads, spec.head_dim, storage.row_format(RowKind::k),
                             elem_bytes(keys.dtype()));
  }
};

}  // namespace lastrow
