// Makes the view state from a snapshot and a selection.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

/// Fills all of `view` except what only the controller knows: sentence, tour, notices, choices, clock.
void fill_view(const Snapshot& snapshot, const Selection& at, ViewState& view);

}  // namespace lastrow::view
