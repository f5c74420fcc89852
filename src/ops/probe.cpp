#include "ops/probe.h"

#include "ops/attend.h"

namespace lastrow {

int32_t Probe::sequence() const {
  const StepPlan& plan = *batch.plan;
  int32_t i = 0;
  while (i + 1 < plan.n_seqs() && plan.q_start[i + 1] <= selection.first_row) ++i;
  return i;
}

void Probe::check() const {
  require_queries(site, q, storage, batch, spec, lse);
  if (!keys.empty()) require_rotated(keys, storage);
  const auto& [first_head, n_heads, first_row, n_rows] = selection;
  if (first_head < 0 || n_heads < 0 || first_head + n_heads > q.dim(1) || first_row < 0 || n_rows < 0 ||
      first_row + n_rows > q.dim(0))
    throw ShapeError("probe of heads {}+{} and rows {}+{} reaches past q {}: select within it", first_head,
                     n_heads, first_row, n_rows, q.shape().to_string());
  const int32_t i = sequence();
  if (n_rows > 0 && first_row + n_rows > batch.plan->q_start[i + 1])
    throw ShapeError("probe of rows {}+{} spans two sequences: probe each of them alone", first_row, n_rows);
  require_shape("probe scores", scores.shape(), {n_heads, n_rows, batch.plan->kv_len[i]});
  require_shape("probe probs", probs.shape(), scores.shape());
  if (!lse_distance.empty()) require_shape("probe lse_distance", lse_distance.shape(), {n_heads, n_rows});
}

}  // namespace lastrow
