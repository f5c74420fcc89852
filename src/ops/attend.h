// Attention over the cached keys and values: the operation, and its cost.
//
//   backend.run(Attend{{layer, site::kAttend}, q, storage, batch, spec, out, lse});
#pragma once

#include "attention/score.h"
#include "ops/batch.h"
#include "ops/kv_storage.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

struct AttendSize {
  int64_t visible_cells = 0;  // Σ over sequences of visible_cells(…)
  int64_t kv_rows = 0;        // Σ over sequences of visible_rows(…)
  int64_t n_tokens = 0;       // queries, Σ q_len
  int64_t n_q_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  RowFormat k{}, v{};  // as they are stored
  // On top of k, if K has scales for channels: the scales, and 3 bytes for each element of a row that is still in f32
  int64_t more_k_bytes = 0;
  bool keys_in_scratch = false;  // k is then of the scratch
  int64_t activation_elem_bytes = kF32Bytes;
};

/// 4·n_q_heads·head_dim·visible_cells flop: a cell needs 2·head_dim for q·k and 2·head_dim for p·v. As usual,
/// the softmax (scale, cap, slope, compare, subtract, exp, add) is not counted: it is about 1/head_dim of all.
/// Each visible row of K and V is read once for each K/V head. The activations are q, out and lse (f32).
constexpr OpCost attend(const AttendSize& n) {
  const int64_t k_bytes = n.kv_rows * n.n_kv_heads * n.k.row_bytes(n.head_dim) + n.more_k_bytes,
                v_bytes = n.kv_rows * n.n_kv_heads * n.v.row_bytes(n.head_dim);
  return {
      .flop = 4 * n.n_q_heads * n.head_dim * n.visible_cells,
      .cache_bytes_read = n.keys_in_scratch ? v_bytes : k_bytes + v_bytes,
      .activation_bytes = n.n_tokens * n.n_q_heads * (2 * n.head_dim * n.activation_elem_bytes + kF32Bytes),
      .scratch_bytes = n.keys_in_scratch ? k_bytes : 0};
}

}  // namespace cost

/// Throws ShapeError unless q, lse and spec fit the step and the storage. Attend, Probe and
/// ScoreMass share this check.
void require_queries(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                     const AttendSpec& spec, ConstTensorView lse);

/// Bytes of K that an Attend reads for sequence i on top of one code for each element: the scales of sealed blocks, and
/// the rest of rows that are in f32. 0 unless K has scales for channels.
int64_t more_key_bytes(const StepPlan& plan, int32_t i, MaskRule mask, const KvStorage& storage);

/// The size of the step for q, as cost::attend and cost::score_mass take it.
cost::AttendSize attend_size(ConstTensorView q, const KvStorage& storage, const Batch& batch,
                             const AttendSpec& spec);

/// Attends each query to the stored keys that its mask lets it see.
///   out[t,h,:] = Σ_s softmax_s(score[h,t,s]) v[s,g,:],  g = h / group_size
///   score[h,t,s] = scale · q[t,h,:]·k[s,g,:], then soft cap and ALiBi if wanted (attention/score.h)
/// If all visible scores of a row are −∞ (q·k may overflow), the row counts as one that sees no key. If a
/// visible score is +∞ or NaN, out and lse of that row are NaN. Masked and unused slots may hold NaN: the
/// result does not depend on them.
/// check() throws ShapeError if n_q_heads % n_kv_heads != 0, and if the rules of the scores make no sense.
/// Source: Vaswani et al. 2017, eq. 1; grouped queries: Ainslie et al. 2023.
struct Attend {
  static constexpr OpTraits kTraits{.name = "attend", .rule = RowRule::attended, .work = WorkKind::attention};

  Site site;          // its layer is the layer of the storage
  ConstTensorView q;  // [n_tokens, n_q_heads, head_dim]   already rotated (RoPE)
  const KvStorage& storage;
  Batch batch;
  AttendSpec spec;
  TensorView out;  // [n_tokens, n_q_heads, head_dim]   must not alias q
  TensorView lse;  // [n_tokens, n_q_heads]             natural log; −∞ (and out is 0) where no key is visible
  // [n_blocks, n_kv_heads, block_len, head_dim]   rotated keys, in place of the stored K; empty: the stored K
  ConstTensorView keys{};

  void check() const;
  Operands operands() const { return {.reads = {q}, .writes = {out, lse}}; }
  OpCost cost() const;
  /// The number of scores that are not masked, over all query heads and all sequences of the step.
  int64_t score_cells() const;
};

}  // namespace lastrow
