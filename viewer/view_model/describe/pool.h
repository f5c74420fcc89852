// Builds the picture of where the rows of a cache that forgets lie: its slots, and what is in them.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

/// Of the layer that is shown, at the end of the beat. Without slots if the layer forgets nothing, or has more than
/// kMostSlots.
Pool build_pool(const Snapshot& snapshot, const Selection& at);
constexpr int kMostSlots = 512;

}  // namespace lastrow::view
