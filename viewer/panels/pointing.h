// What the mouse does in a pane, and the lines that show it: crosshair, elbow, sweep.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_crosshair(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);
/// Beat `score`: the elbow moves from k[0] to k[t].
void draw_sweep(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);
/// Hover, click, right click and wheel, in both panes.
void handle_mouse(Panel& panel);

}  // namespace lastrow::ui
