// Builds the inspector, and the lines through both panes at the hovered place.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/inspector.h"

namespace lastrow::view {

Inspector build_inspector(const Snapshot& snapshot, const Selection& at);
Crosshair build_crosshair(const Snapshot& snapshot, const Selection& at);

}  // namespace lastrow::view
