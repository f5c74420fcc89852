#include "viewer/view_model/describe/operands.h"

#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/step_rows.h"

namespace lastrow::view {

Operands operands(const Snapshot& snapshot, const Selection& at, Mode side, int t, int s) {
  const Setup& setup = *snapshot.setup;
  const SideData& d = snapshot.now->side(side);
  const int n = snapshot.now->n_tokens, g = shown_kv_head(snapshot, at);
  Operands o;
  o.q = q_row(setup, d, at.layer, at.head, t);
  o.out = out_row(setup, d, at.layer, at.head, t);
  o.scores = score_row(d, at.layer, at.head, t, n);
  o.probs = prob_row(d, at.layer, at.head, t, n);
  o.lse = lse_at(setup, d, at.layer, at.head, t);
  o.k = k_row(setup, d, at.layer, g, s);
  o.v = v_row(setup, d, at.layer, g, s);
  return o;
}

}  // namespace lastrow::view
