// Steps that are too large to keep whole: the worker computes what is shown when that changes.
#include <algorithm>

#include "viewer/view_model/run/controller_impl.h"

namespace lastrow::view {

/// The layer and head that are shown or requested, and rows around those that are shown.
Focus Controller::Impl::wanted_focus() const {
  Focus f{layer_request.value_or(layer), head_request.value_or(head), first_token, kMostFocusRows};
  if (f.first_row >= 0) f.first_row = std::max(0, f.first_row - (kMostFocusRows - room) / 2);
  return f;
}

/// The focus of the step on the screen.
Focus Controller::Impl::focus_there() const {
  const auto& rows = current->now->side(Mode::recompute).focus;
  return rows ? rows->at : Focus{};
}

/// Sends the goal again if the snapshot lacks the layer, the head or the rows that are shown.
void Controller::Impl::refocus() {
  if (!current || current->now->whole || working()) return;
  const Focus there = focus_there();
  const TokenWindow shown = window();  // the last row is always held
  const bool held = shown.first >= there.first_row && shown.first + shown.n <= there.first_row + there.n_rows;
  if (there.layer != layer || there.head != head || !held) want_goal();
}

}  // namespace lastrow::view
