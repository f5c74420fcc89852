#include "viewer/view_model/describe/poke_effect.h"

#include <fmt/format.h>

#include <algorithm>

#include "viewer/view_model/describe/compare.h"
#include "viewer/view_model/describe/names.h"
#include "viewer/view_model/describe/step_rows.h"

namespace lastrow::view {

PokeEffect poke_effect(const Snapshot& snapshot, Mode side, const Selection& at) {
  const Setup& setup = *snapshot.setup;
  const SideData& now = snapshot.now->side(side);
  const SideData& before = snapshot.unpoked->side(side);
  PokeEffect e;
  e.identical = same_logits(now, before);
  e.logit_change = largest_change(now.logits.data(), before.logits.data(),
                                  static_cast<int>(std::min(now.logits.size(), before.logits.size())));
  e.token_after = now.next_token;
  e.token_before = before.next_token;
  const int last = snapshot.now->n_tokens - 1;
  const float* a = out_row(setup, now, at.layer, at.head, last);
  const float* b = out_row(setup, before, at.layer, at.head, last);
  if (a && b) e.output_change = largest_change(a, b, setup.config().head_dim);
  return e;
}

Poke to_poke(const PokeRow& row, const Snapshot& snapshot, const Selection& at) {
  Poke poke;
  poke.what = row.part == Part::q ? Poke::What::q : row.part == Part::k ? Poke::What::k : Poke::What::v;
  poke.layer = at.layer;
  poke.position = row.position;
  poke.head = row.part == Part::q ? at.head : at.head / snapshot.setup->config().group_size();
  poke.action = row.action;
  poke.seed = 1;
  poke.when = row.when;
  poke.step = snapshot.now->step;
  return poke;
}

Part poked_part(const Poke& poke) {
  return poke.what == Poke::What::q ? Part::q : poke.what == Poke::What::k ? Part::k : Part::v;
}

std::string poked_row_name(const Poke& poke) {
  return fmt::format("{}[{}]", name_of(poked_part(poke)), poke.position);
}

bool same_row(const Poke& a, const Poke& b) {
  return a.what == b.what && a.layer == b.layer && a.position == b.position && a.head == b.head;
}

bool same_row_and_step(const Poke& a, const Poke& b) {
  const bool both_now = a.when == Poke::When::now && b.when == Poke::When::now;
  return same_row(a, b) && (!both_now || a.step == b.step);
}

bool is_in_force(const Poke& poke, int step, int n_tokens) {
  return poke.position < n_tokens && (poke.when == Poke::When::since || poke.step == step);
}

}  // namespace lastrow::view
