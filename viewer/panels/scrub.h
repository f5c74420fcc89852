// The scrub: a tick for each step run so far; prefill is wider, as it feeds many tokens. A click or drag goes
// there.
#pragma once

#include <span>
#include <vector>

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_scrub(Panel& panel, const Rect& bar);

struct TickLabel {
  size_t tick;
  Rect place;
  bool plate;  // wider than its tick: on a ground of its own
};
/// Which ticks have their label written, and where: whole, apart from each other, the current one always.
/// Where ticks are narrow only every second, fifth, tenth … has one, and it reaches over its neighbours.
/// widths[i]: of the label of ticks[i].
std::vector<TickLabel> tick_labels(std::span<const Rect> ticks, std::span<const float> widths,
                                   size_t current);

}  // namespace lastrow::ui
