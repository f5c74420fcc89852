// How much attention each stored row got in a step. A cache that forgets the rows with the least attention
// needs it (cache/victims.h).
//
//   backend.run(ScoreMass{{layer, site::kScoreMass}, q, lse, storage, batch, spec, mass});
//
// Call it after the Attend with the same operands, because it reads the lse that the Attend wrote. The forward
// calls it in each layer if the plan wants it (StepPlan::wants_mass). A fused attention keeps no score matrix,
// so the scores are computed a second time: this is the price of the policy, and it is counted.
#pragma once

#include "ops/attend.h"

namespace lastrow {

namespace cost {

/// 2·n_q_heads·head_dim·visible_cells flop for q·k; exp and the sum over queries are not counted. Each visible
/// row of K is read once for each K/V head. The activations are q, lse and mass.
constexpr OpCost score_mass(const AttendSize& n, int64_t mass_elems) {
  return {.flop = 2 * n.n_q_heads * n.head_dim * n.visible_cells,
          .cache_bytes_read = n.kv_rows * n.n_kv_heads * n.k.row_bytes(n.head_dim),
          .activation_bytes =
              (n.n_tokens * n.n_q_heads * (n.head_dim + 1) + mass_elems) * n.activation_elem_bytes};
}

}  // namespace cost

/// The softmax weights of all queries and heads of a sequence, summed for each index:
///   mass[i,s] = Σ_h Σ_t min(1, exp(score[h,t,s] − lse[t,h]))    over the queries t of sequence i that see s
/// mass is 0 where no query sees s, and behind kv_len. Σ_s mass[i,s] = n_q_heads · q_len, less n_q_heads for
/// each query that sees no key. `score` is as in Attend. The minimum matters only for scores so large that attend, which
/// sums q·k in another order, has another lse than these scores. If lse is NaN, the mass of the visible keys is
/// NaN.
/// Row i of mass comes from the rows of q and lse of sequence i, and from the rows of K that its queries see.
/// check() throws ShapeError if an operand does not fit, as Attend's does.
/// Source: Zhang et al. 2023, "H2O: Heavy-Hitter Oracle for Efficient Generative Inference of LLMs", section 3.
struct ScoreMass {
  static constexpr OpTraits kTraits{
      .name = "score_mass", .rule = RowRule::weighed, .n_sources = 2, .work = WorkKind::attention};

  Site site;            // its layer is the layer of the storage
  ConstTensorView q;    // [n_tokens, n_q_heads, head_dim]   what attend was given
  ConstTensorView lse;  // [n_tokens, n_q_heads]             what attend wrote
  const KvStorage& storage;
  Batch batch;
  AttendSpec spec;
  TensorView mass;  // [n_seqs, keys_per_seq]            of the plan; overwritten

  void check() const;
  Operands operands() const { return {.reads = {q, lse}, .writes = {mass}}; }
  OpCost cost() const;
};

}  // namespace lastrow
