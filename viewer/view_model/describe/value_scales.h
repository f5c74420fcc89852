// The value scales: chosen once, when the sessions start, so that unchanged values keep their colours.
#pragma once

#include <memory>
#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// The scales of the values that the cached side had in these steps. The largest magnitude gets the full
/// colour, and the 95th percentile a clear one.
std::vector<LayerScales> value_scales(const Setup& setup,
                                      const std::vector<std::shared_ptr<const StepData>>& steps);

}  // namespace lastrow::view
