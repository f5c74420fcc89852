#include "viewer/view_model/state/view_state.h"

namespace lastrow::view {

ViewState::ViewState() = default;
ViewState::ViewState(const ViewState&) = default;
ViewState::ViewState(ViewState&&) noexcept = default;
ViewState& ViewState::operator=(const ViewState&) = default;
ViewState& ViewState::operator=(ViewState&&) noexcept = default;
ViewState::~ViewState() = default;

}  // namespace lastrow::view
