// A box beside the step under the mouse: its token, and what both sides have cost up to it.
#pragma once

#include "viewer/panels/cost_plot.h"

namespace lastrow::ui {

void draw_cost_callout(Panel& panel, const CostPlotPlaces& places, const view::CostHover& hover);

}  // namespace lastrow::ui
