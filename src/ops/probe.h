// Shows what attention computes inside, for chosen heads and rows: the scaled scores and their softmax.
//
//   backend.run(Probe{site, q, storage, batch, spec, lse, selection, scores, probs});
//
// Call it after the Attend with the same operands, because it reads the lse that the Attend wrote. A probe is
// not part of the model's work: it costs nothing, and traces do not record it.
#pragma once

#include "attention/score.h"
#include "ops/batch.h"
#include "ops/kv_storage.h"
#include "ops/operands.h"

namespace lastrow {

/// The rows and heads of a probe. The rows are packed tokens of one sequence.
struct ProbeSelection {
  int32_t first_head, n_heads;
  int32_t first_row, n_rows;
};

///   scores[h,t,s] = as attend makes them            −∞ where masked
///   probs[h,t,:]  = softmax of scores[h,t,:]        0 where masked
/// In each row 0 ≤ p ≤ 1 and Σ p = 1, however large the scores are. There are two exceptions:
///   a row that sees no key                      its probs are 0
///   a row with a visible score of +∞ or NaN     the probs of its visible keys are NaN
///
/// lse_distance is |lse of these scores − lse|, where `lse` is what attend wrote. The two may differ, because
/// attend sums q · k in another order. The distance is 0 if both are −∞ or both are NaN.
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
  TensorView lse_distance{};  // [selection.n_heads, selection.n_rows], or empty if it is not wanted
  ConstTensorView keys{};     // what attend was given

  void check() const;
  /// The sequence that all selected rows belong to.
  int32_t sequence() const;
  Operands operands() const { return {.reads = {q, lse}, .writes = {scores, probs}}; }
  OpCost cost() const { return {}; }
};

}  // namespace lastrow
