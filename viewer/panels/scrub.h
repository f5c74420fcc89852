// The scrub: a tick for each step run so far. The tick of prefill is wider, because prefill reads many
// tokens. A click or a drag goes to the step.
#pragma once

#include <span>
#include <vector>

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_scrub(Panel& panel, const Rect& bar);

struct TickLabel {
  size_t tick;
  Rect place;
  bool plate;  // the label is wider than its tick, so it gets its own background
};
/// Which ticks get a label, and where it stands. Labels are never cut and never overlap, and the current tick
/// always has one. If ticks are narrow, only every second, fifth, tenth … has a label, and it may cover the
/// ticks beside it. widths[i]: the width of the label of ticks[i].
std::vector<TickLabel> tick_labels(std::span<const Rect> ticks, std::span<const float> widths,
                                   size_t current);

}  // namespace lastrow::ui
