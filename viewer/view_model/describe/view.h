// Makes the view state from a snapshot and a selection.
#pragma once

#include "viewer/view_model/describe/overview.h"
#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

/// Fills all of `view` except what only the controller knows: sentence, tour, notices, choices, clock.
/// The cache keeps what is costly to make from one call to the next.
void fill_view(const Snapshot& snapshot, const Selection& at, ViewState& view, OverviewCache& overviews);

}  // namespace lastrow::view
