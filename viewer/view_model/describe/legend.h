// Builds the legend.
#pragma once

#include <array>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/legend.h"

namespace lastrow::view {

/// `panes` are the panes on the screen. The legend explains the signs beside their rows.
Legend build_legend(const Snapshot& snapshot, const Selection& at, const std::array<PaneState, 2>& panes);

}  // namespace lastrow::view
