// Measures the roofline of this machine: once in a run, in about a quarter of a second.
#pragma once

#include <memory>

#include "viewer/view_model/describe/cost_data.h"
#include "viewer/view_model/run/progress.h"

namespace lastrow::view {

/// Measures with one thread for each core, as the backend eigen computes. Ends between two measurements when
/// progress.stop is set: then it throws Cancelled. If a measurement is not possible, the result says why.
std::shared_ptr<const MachineRoof> measure_machine_roof(Progress& progress);

}  // namespace lastrow::view
