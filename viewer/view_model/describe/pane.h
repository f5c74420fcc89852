// From a step's data to one pane: which rows exist at this beat, in which state, with which values.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

/// Every row of the step at the end of `at.beat`; its state before the beat is in `was`.
PaneState build_pane(const Snapshot& snapshot, Mode side, const Selection& at);

}  // namespace lastrow::view
