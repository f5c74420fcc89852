// The value scales: chosen once, when the sessions start, so that unchanged values keep their colours.
#pragma once

#include <memory>
#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// Scales that hold 99 of 100 values of these steps, cached side.
std::vector<LayerScales> value_scales(const Setup& setup,
                                      const std::vector<std::shared_ptr<const StepData>>& steps);

}  // namespace lastrow::view
