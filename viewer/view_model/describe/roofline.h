// Where the current step lies under the roofline of this machine.
//
// Source: Williams, Waterman, Patterson 2009, "Roofline: an insightful visual performance model".
#pragma once

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/cost_curves.h"

namespace lastrow::view {

/// If the roofs are not measured, or the backend does not run on the CPU, the sentence says what is missing.
RooflinePicture roofline_picture(const Snapshot& snapshot);

}  // namespace lastrow::view
