// Where the rows of a cache that forgets lie: a strip of its slots, with the position that each holds.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

/// The room that the strip wants: a line above it, the slots, their numbers, and a line below.
constexpr float kPoolHeight = 72;

/// If there is less room, it leaves out the texts. The tooltips say the same.
void draw_pool(Panel& panel, const Rect& room, const view::Pool& pool, bool dim);

}  // namespace lastrow::ui
