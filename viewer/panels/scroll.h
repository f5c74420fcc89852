// Scrolling, if there are more tokens than fit: by wheel, by keys, and by a bar at the right edge of each
// pane and below each matrix. Both panes scroll together. Scrolled to the end, they follow the newest token.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

/// track: where the bar can be pressed; thumb: the visible part. Both are empty if everything fits.
struct ScrollBar {
  Rect track, thumb;
};
ScrollBar row_bar(const PaneLayout& pane);     // at the right edge
ScrollBar column_bar(const PaneLayout& pane);  // below the matrix

/// What a key does.
void scroll_by(Scroll& scroll, const PaneLayout& pane, const view::ScrollTokens& by);
/// The wheel scrolls rows, and with Shift columns.
void scroll_by_wheel(Panel& panel);
/// Draws the bars, and follows the mouse that drags them. Writes above the labels which tokens are visible.
void draw_scroll_bars(Panel& panel, const PaneLayout& pane);

}  // namespace lastrow::ui
