// Builds the top bar.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/transport.h"

namespace lastrow::view {

/// Fills all fields except those that only the controller's clock knows: playing, speed, reduced motion.
Transport build_transport(const Snapshot& snapshot, const Selection& at);
/// Its ticks alone: steps 0 … last_step.
std::vector<ScrubTick> scrub_ticks(const Snapshot& snapshot);

}  // namespace lastrow::view
