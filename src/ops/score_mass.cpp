#include "ops/score_mass.h"

namespace lastrow {

void ScoreMass::check() const {
  require_queries(site, q, storage, batch, spec, lse);
  require_shape("score_mass output", mass.shape(), {batch.plan->n_seqs(), batch.plan->keys_per_seq()});
}

OpCost ScoreMass::cost() const { return cost::score_mass(attend_size(q, storage, batch, spec), mass.size()); }

}  // namespace lastrow
