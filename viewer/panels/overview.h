// The whole text at a glance, under the blocks of a pane: all weights and all rows of K and V in few cells,
// with the window of tokens as a frame that can be dragged.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

struct OverviewLayout {
  Rect matrix, k, v, caption;
  /// The frame around the tokens that are shown, in the matrix.
  Rect frame(const view::TokenWindow& window) const;
};
/// Takes its place from the left of `room`, and leaves the rest.
OverviewLayout overview_layout(Rect& room);
void draw_overview(Panel& panel, const OverviewLayout& layout, const view::PaneState& pane);

}  // namespace lastrow::ui
