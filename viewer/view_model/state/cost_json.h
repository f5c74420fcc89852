// The cost curves as JSON, for state_json.cpp and for tests.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "viewer/view_model/state/cost_curves.h"

namespace lastrow::view {

nlohmann::json cost_json(const CostCurves& curves);

}  // namespace lastrow::view
