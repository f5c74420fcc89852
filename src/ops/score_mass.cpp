#include "ops/score_mass.h"

#include "ops/attend.h"

namespace lastrow {

void ScoreMass::check() const {
  require_queries(site, q, storage, batch, spec, lse);
  require_shape("score_mass output", mass.shape(), {batch.plan->n_seqs(), batch.plan->keys_per_seq()});
}

OpCost ScoreMass::cost() const {
  return cost::score_mass({.visible_cells = sum_over_sequences(*batch.plan, spec.mask, cost::visible_cells),
                           .kv_rows = sum_over_sequences(*batch.plan, spec.mask, cost::visible_rows),
                           .n_tokens = q.dim(0),
                           .n_q_heads = q.dim(1),
                           .n_kv_heads = storage.spec().n_kv_heads,
                           .head_dim = q.dim(2),
                           .mass_elems = mass.size(),
                           .k = storage.row_format(RowKind::k),
                           .activation_elem_bytes = elem_bytes(q.dtype())});
}

}  // namespace lastrow
