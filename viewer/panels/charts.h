// Under the blocks: the attention output of the row that decides, and its scores and weights as bars.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_bars(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);
void draw_output(Panel& panel, const PaneLayout& layout, const view::PaneState& pane);

}  // namespace lastrow::ui
