// What the whole step cost on both sides.
#pragma once

#include <vector>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/costs.h"

namespace lastrow::view {

/// The costs of the step without pokes, because a poke is not part of the model's work.
std::vector<CostEntry> cost_line(const Snapshot& snapshot);

}  // namespace lastrow::view
