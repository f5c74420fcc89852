// What came of a poke, said with numbers from the run: the step as poked beside the same step as it was.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/pane_builder.h"
#include "viewer/view_model/view_state.h"

namespace lastrow::view {

/// What one side noticed of all pokes together.
struct PokeEffect {
  bool identical = true;     // logits have the same bits
  double logit_change = 0;   // largest
  double output_change = 0;  // largest, of the shown head's row that decides, in the shown layer
  int token_before = 0, token_after = 0;
};
PokeEffect poke_effect(const Scene& scene, Side side, const Selection& at);

/// One badge: what this side noticed of the last poke (with several in force: of all of them).
Badge poke_badge(const Scene& scene, Side side, const Selection& at);
/// "right also rebuilt rows 3–7 above from it"; empty where both sides are alike.
std::string poke_difference(const Scene& scene);
/// "q[3] scrambled in layer 3, head 0 · now"; several: "2 pokes: … · …".
std::string pokes_text(const Scene& scene);
PokeMenu poke_menu(const Scene& scene, const Selection& at, const Target& target);

/// The poke of a row of the shown layer and head, as the session takes it.
Poke to_poke(const PokeRow& row, const Scene& scene, const Selection& at);
Part part_of(const Poke& poke);

}  // namespace lastrow::view
