// The value scales: chosen once, when the sessions start, so that unchanged values keep their colours.
#pragma once

#include <memory>
#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// The smallest scales that 99 of 100 values fit in: the values of the cached side in these steps.
std::vector<LayerScales> value_scales(const Setup& setup,
                                      const std::vector<std::shared_ptr<const StepData>>& steps);

}  // namespace lastrow::view
