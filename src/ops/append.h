// Stores the step's new K and V rows at the slots that the plan chose for them.
//   K[slot(t), g, :] = k[t,g,:],   V[slot(t), g, :] = v[t,g,:],   slot(t) = append_slots[t]
// If K has scales for channels, k goes to open_slots[t] of the open rows instead (cache/sealing.h).
#pragma once

#include "ops/batch.h"
#include "ops/kv_storage.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// Writes new k and v [n_tokens, n_kv_heads, head_dim] to their slots in one layer, stored in these formats.
constexpr OpCost append(int64_t n_tokens, int64_t n_kv_heads, int64_t head_dim, RowFormat k, RowFormat v,
                        int64_t activation_elem_bytes = kF32Bytes) {
  const int64_t rows = n_tokens * n_kv_heads;
  return {.cache_bytes_written = rows * (k.row_bytes(head_dim) + v.row_bytes(head_dim)),
          .activation_bytes = 2 * rows * head_dim * activation_elem_bytes};
}

}  // namespace cost

struct Append {
  static constexpr OpTraits kTraits{.name = "append", .rule = RowRule::appended, .n_sources = 2};

  Site site;  // its layer is the layer of the storage
  // [n_tokens, n_kv_heads, head_dim]   K after RoPE; before it if the plan has new_positions
  ConstTensorView k, v;
  Batch batch;
  KvStorage& storage;

  void check() const;
  Operands operands() const { return {.reads = {k, v}, .writes = {}}; }
  OpCost cost() const {
    return cost::append(k.dim(0), k.dim(1), k.dim(2), storage.appended_format(RowKind::k),
                        storage.appended_format(RowKind::v), elem_bytes(k.dtype()));
  }
};

}  // namespace lastrow
