// What attention saw, for chosen heads and rows: its scaled scores, and the softmax of these scores.
#pragma once

#include "attention/mask.h"
#include "ops/batch.h"
#include "ops/kv_storage.h"
#include "ops/operands.h"

namespace lastrow {

/// Rows and heads that a probe looks at. Rows are packed tokens of one sequence.
struct ProbeSelection {
  int32_t first_head, n_heads;
  int32_t first_row, n_rows;
};

/// scores[h,t,s] is −∞ and probs[h,t,s] is 0 where masked. probs is 0 throughout a row that sees nothing, and NaN
/// at the visible keys of a row with a score of +∞ or NaN. Otherwise 0 ≤ p ≤ 1 and Σ p = 1, however large the
/// scores are.
/// lse_distance is |lse of these scores − lse|, where `lse` is what attend wrote: attend sums q · k in another
/// order. It is 0 where both are −∞ or both NaN.
/// A probe is no work of the model: it costs nothing and traces do not record it.
struct Probe {
  static constexpr OpTraits kTraits{.name = "probe", .rule = RowRule::none, .n_sources = 0};

  Site site;          // its layer is the layer of the storage
  ConstTensorView q;  // [n_tokens, n_q_heads, head_dim]   what attend was given
  const KvStorage& storage;
  Batch batch;
  AttendSpec spec;
  ConstTensorView lse;  // [n_tokens, n_q_heads]   what attend wrote
  ProbeSelection selection;
  TensorView scores, probs;   // [selection.n_heads, selection.n_rows, kv_len of the rows' sequence]
  TensorView lse_distance{};  // [selection.n_heads, selection.n_rows], or empty if nobody wants it

  void check() const;
  /// The sequence that all selected rows belong to.
  int32_t sequence() const;
  Operands operands() const { return {.reads = {q, lse}, .writes = {scores, probs}}; }
  OpCost cost() const { return {}; }
};

}  // namespace lastrow
