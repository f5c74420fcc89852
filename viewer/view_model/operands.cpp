#include "viewer/view_model/operands.h"

#include "viewer/view_model/text.h"

namespace lastrow::view {

int kv_head_of(const Scene& scene, const Selection& at) {
  return at.head / scene.world->config().group_size();
}

std::string token_at(const Scene& scene, int position) {
  return label(scene.world->piece(scene.now->tokens[static_cast<size_t>(position)]));
}

const char* letter(Part part) {
  switch (part) {
    case Part::q:
      return "q";
    case Part::k:
      return "k";
    case Part::v:
      return "v";
    case Part::score:
      return "score";
    case Part::weight:
      return "weight";
    case Part::output:
      return "output";
    default:
      return "token";
  }
}

Operands operands(const Scene& scene, const Selection& at, Side side, int t, int s) {
  const World& w = *scene.world;
  const SideData& d = scene.now->side(side);
  const int n = scene.now->n_tokens, g = kv_head_of(scene, at);
  Operands o;
  o.q = q_row(w, d, at.layer, at.head, t);
  o.out = out_row(w, d, at.layer, at.head, t);
  o.scores = score_row(w, d, at.layer, at.head, t, n);
  o.probs = prob_row(w, d, at.layer, at.head, t, n);
  o.lse = lse_at(w, d, at.layer, at.head, t);
  o.k = k_row(w, d, at.layer, g, s);
  o.v = v_row(w, d, at.layer, g, s);
  return o;
}

}  // namespace lastrow::view
