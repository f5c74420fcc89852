// The list of pokes, and the comparison of a step with and without them.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/pokes.h"

namespace lastrow::view {

struct PokesSoFar {
  const std::vector<Poke>& pokes;    // active in this step or not, the oldest first
  std::string undo_what, redo_what;  // "poke of k[3]"; empty: nothing
  bool open = false;                 // a closed list has no comparison
};

PokeList build_poke_list(const Snapshot& snapshot, const Selection& at, const PokesSoFar& so_far);
/// The last row of the layer and head that are shown, before → after. Only while a poke is active.
PokeComparison compare_with_unpoked(const Snapshot& snapshot, const Selection& at);

}  // namespace lastrow::view
