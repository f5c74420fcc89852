// The bar at the right edge of each pane, if there are more tokens than fit; and the wheel. Rows and columns
// scroll together, in both panes. Scrolled to the end, they follow the newest token.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

/// track: where the bar can be pressed; thumb: the visible part. Both are empty if everything fits.
struct ScrollBar {
  Rect track, thumb;
};
ScrollBar scroll_bar(const PaneLayout& pane);

void scroll_by_wheel(Panel& panel);
/// Draws the bar, and follows the mouse that drags it.
void draw_scroll_bar(Panel& panel, const PaneLayout& pane);

}  // namespace lastrow::ui
