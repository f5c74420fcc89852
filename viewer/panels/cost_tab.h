// The tab Cost: the curve of all steps, and this step under the roofline.
#pragma once

#include "viewer/panels/cost_plot.h"

namespace lastrow::ui {

/// Where the parts are, for drawing and for tests.
struct CostTabPlaces {
  Rect summary;   // buttons, the ratio, the sentence
  Rect curve;     // cost_plot.h
  Rect roofline;  // roofline_plot.h
};

CostTabPlaces cost_tab_places(const Rect& tab);
void draw_cost_tab(Panel& panel);

}  // namespace lastrow::ui
