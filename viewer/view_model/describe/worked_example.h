// Builds the worked example of the inspector.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/worked_example.h"

namespace lastrow::view {

WorkedExample build_worked_example(const Snapshot& snapshot, const Selection& at);

}  // namespace lastrow::view
