// The state as JSON, for `state NAME.json` in scripts, for --watch, and for tests.
#pragma once

#include <string>

#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

/// Fields have the names of the struct members. Tooltips and a few derived fields are left out.
std::string to_json(const ViewState& view);

}  // namespace lastrow::view
