// The menu of pokes for one row.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/poke_menu.h"

namespace lastrow::view {

PokeMenu build_poke_menu(const Snapshot& snapshot, const Selection& at, const Target& target);

}  // namespace lastrow::view
