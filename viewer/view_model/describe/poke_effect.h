// A poke as the session takes it, and its effect in numbers.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/commands.h"

namespace lastrow::view {

/// What all pokes together changed on one side.
struct PokeEffect {
  bool identical = true;     // the logits have the same bits
  double logit_change = 0;   // largest
  double output_change = 0;  // largest, in the output of the row that decides, for the layer and head on show
  int token_before = 0, token_after = 0;
};
PokeEffect poke_effect(const Snapshot& snapshot, Mode side, const Selection& at);

/// The poke of a row of the layer and head on show.
Poke to_poke(const PokeRow& row, const Snapshot& snapshot, const Selection& at);
Part poked_part(const Poke& poke);
/// Whether both change the same row; how and when they change it may differ.
bool same_row(const Poke& a, const Poke& b);

}  // namespace lastrow::view
