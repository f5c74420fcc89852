// The current step, as two points under the roofs of this machine.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_roofline_plot(Panel& panel, const Rect& r);

}  // namespace lastrow::ui
