// Rounds blocks of K to int8 with a scale for each channel: the blocks that the plan seals in this step
// (cache/sealing.h).
//   scale[b,g,d] = max_i |K[b,g,i,d]| / 127,   code[b,g,i,d] = K[b,g,i,d] / scale, rounded   (cache/kv_channels.h)
//
//   if (!batch.plan->seals.empty()) backend.run(SealKeys{{layer, site::kSealKeys}, batch, storage});
//
// Call it after the Attend of the layer. In this step the rows are still read in f32, in later steps as codes. It only
// reads rows that earlier steps stored, and only writes codes that nothing reads yet. So if the step fails, nothing
// is lost, and the next step seals the same blocks again.
#pragma once

#include <algorithm>

#include "ops/batch.h"
#include "ops/kv_storage.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// Reads n_blocks blocks of one layer in f32, and writes codes and scales. As in the other operations, conversions
/// are not counted as flop.
constexpr OpCost seal_keys(int64_t n_blocks, int64_t block_len, int64_t n_kv_heads, int64_t head_dim) {
  const int64_t elems = n_blocks * n_kv_heads * block_len * head_dim;
  return {.cache_bytes_read = elems * kF32Bytes,
          .cache_bytes_written = elems + n_blocks * n_kv_heads * head_dim * kF32Bytes};
}

}  // namespace cost

struct SealKeys {
  static constexpr OpTraits kTraits{.name = "seal_keys", .rule = RowRule::sealed, .n_sources = 0};

  Site site;  // its layer is the layer of the storage
  Batch batch;
  KvStorage& storage;

  void check() const {
    require_layer(site, storage);
    if (!storage.has_open_blocks())
      throw ShapeError(
          "{}: the blocks of K as {} have no scales for channels: make the storage from the cache's spec",
          site.name, kv_dtype_name(storage.spec().dtype_k));
  }
  /// Its rows are stored rows, so they are not among the tensors.
  Operands operands() const { return {.reads = {}, .writes = {}}; }
  OpCost cost() const {
    const CacheSpec& spec = storage.spec();
    return cost::seal_keys(static_cast<int64_t>(batch.plan->seals.size()), spec.block_len, spec.n_kv_heads,
                           spec.head_dim);
  }
};

/// What one layer pays to seal blocks of sequence i.
inline OpCost cost_of_seals(const StepPlan& plan, int32_t i, const KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  const int32_t* const first = block_table(plan, i).blocks;
  const auto is_own = [&](int32_t block) {
    return std::find(first, first + plan.blocks_per_seq, block) != first + plan.blocks_per_seq;
  };
  const auto n = std::count_if(plan.seals.begin(), plan.seals.end(), is_own);
  return cost::seal_keys(n, spec.block_len, spec.n_kv_heads, spec.head_dim);
}

}  // namespace lastrow
