// What a poke changed, with numbers from the run: the poked step beside the same step without pokes.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

/// One badge: what the poke changed on this side, and whether it is a poke of now or since its own step. With
/// several pokes: how many there are, and what they changed together.
/// A product is written out only where its factors give it.
Badge poke_badge(const Snapshot& snapshot, Mode side, const Selection& at);
/// "right also rebuilt rows 3–7 in the layers above"; empty if both sides agree.
std::string poke_difference(const Snapshot& snapshot);
/// "q[3] scrambled in layer 3, head 0 · now"; several: "2 pokes: … — …".
std::string pokes_text(const Snapshot& snapshot);

}  // namespace lastrow::view
