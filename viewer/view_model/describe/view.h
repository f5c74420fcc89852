// From a snapshot and a selection to everything that they decide on the screen.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

/// Fills all of `view` but what only the controller knows: sentence, tour, notices, choices, clock.
void fill_view(const Snapshot& snapshot, const Selection& at, ViewState& view);

}  // namespace lastrow::view
