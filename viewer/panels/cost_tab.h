// Where the parts of the tab Cost are, for drawing and for tests.
#pragma once

#include "viewer/panels/cost_plot.h"

namespace lastrow::ui {

struct CostTabPlaces {
  Rect summary;   // buttons, the ratio, the sentence
  Rect curve;     // cost_plot.h
  Rect roofline;  // roofline_plot.h
};

CostTabPlaces cost_tab_places(const Rect& tab);

}  // namespace lastrow::ui
