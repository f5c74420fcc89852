// The legend: the states with their patterns, what a poked row looks like, and the scale of values.
#include "viewer/draw/patterns.h"
#include "viewer/panels/panel.h"

namespace lastrow::ui {
namespace {

void draw_swatch(Panel& panel, const Rect& r, view::State state) {
  if (state == view::State::absent) {
    panel.canvas.dashed(r, panel.canvas.colors().state(state), 1, 4, 3);
    return;
  }
  if (state == view::State::not_stored) {
    panel.canvas.frame(r, panel.canvas.colors().state(state), 1);
    return panel.canvas.horizontal(r.x0 + 4, r.x1 - 4, r.center().y, panel.canvas.colors().state(state));
  }
  if (state == view::State::masked) return draw_masked(panel.canvas, r);
  const Rect gutter{r.x0, r.y0, r.x0 + kGutter - 1, r.y1}, cells{r.x0 + kGutter, r.y0, r.x1, r.y1};
  draw_gutter(panel.canvas, gutter, state);
  const bool unused = state == view::State::again_unused;
  const float steps[] = {-0.5f, 0.3f, 0.8f};
  for (int i = 0; i < 3; ++i) {
    const float width = cells.width() / 3, x = cells.x0 + static_cast<float>(i) * width;
    panel.canvas.fill({x, cells.y0, x + width, cells.y1},
                      panel.canvas.colors().value(steps[i], unused ? 0.4f : 1.0f));
  }
  if (unused) draw_diagonals(panel.canvas, cells, panel.canvas.colors().state(state), 8, 1.5f);
  if (state == view::State::computed_now) panel.canvas.frame(r, panel.canvas.colors().state(state), 2);
}

void draw_scale(Panel& panel, const Rect& r) {
  constexpr int kSteps = 33;
  const float width = r.width() / kSteps;
  for (int i = 0; i < kSteps; ++i) {
    const float x = r.x0 + static_cast<float>(i) * width;
    panel.canvas.fill({x, r.y0, x + width, r.y1},
                      panel.canvas.colors().value(static_cast<float>(i - kSteps / 2) / (kSteps / 2)));
  }
  panel.canvas.frame(r, panel.color(panel.hex().line));
}

constexpr float kSwatch = 26, kScaleBar = 76, kEntriesApart = 16, kEntryLine = 20;

/// Places entries from left to right, and on the next line if the line is full.
class Flow {
 public:
  explicit Flow(const Rect& room) : room_(room), x_(room.x0), y_(room.y0) {}
  Rect next(float width) {
    if (x_ > room_.x0 && x_ + width > room_.x1) {
      x_ = room_.x0;
      y_ += kEntryLine;
    }
    const Rect place{x_, y_, x_ + width, y_ + kEntryLine};
    x_ += width + kEntriesApart;
    return place;
  }

 private:
  Rect room_;
  float x_, y_;
};

}  // namespace

void draw_legend(Panel& panel) {
  const view::Legend& legend = panel.view.legend;
  const ImU32 ink = panel.color(panel.hex().text);
  constexpr Type type = Type::small;
  Flow flow(panel.layout.legend.inset(8, 3));
  const auto width = [&](const std::string& text) { return panel.canvas.width(type, text) + 2; };
  for (const view::LegendEntry& entry : legend.states) {
    Rect place = flow.next(kSwatch + 6 + width(entry.label));
    const Touch touched = touch("state", static_cast<int>(entry.state), place);
    if (touched.hovered) tooltip(panel, entry.label, entry.tooltip);
    draw_swatch(panel, place.cut_left(kSwatch).inset(0, 4), entry.state);
    panel.canvas.text_in({place.x0 + 6, place.y0, place.x1, place.y1}, type, ink, entry.label);
  }
  Rect poked = flow.next(kSwatch + 6 + width(legend.poked));
  panel.canvas.dashed(poked.cut_left(kSwatch).inset(0, 4), IM_COL32(0, 0, 0, 255), 2, 4, 4,
                      IM_COL32(255, 255, 255, 255));
  panel.canvas.text_in({poked.x0 + 6, poked.y0, poked.x1, poked.y1}, type, ink, legend.poked);
  for (const auto& [sign, meaning] : legend.marks) {
    const std::string text = sign + " " + meaning;
    panel.canvas.text_in(flow.next(width(text)), type, ink, text);
  }
  Rect scale = flow.next(kScaleBar + 8 + width(legend.value_scale));
  const Touch touched = touch("scale", scale);
  if (touched.hovered) tooltip(panel, "Colours of values", legend.scale_tooltip);
  draw_scale(panel, scale.cut_left(kScaleBar).inset(0, 4));
  panel.canvas.text_in({scale.x0 + 8, scale.y0, scale.x1, scale.y1}, type, panel.color(panel.hex().muted),
                       legend.value_scale);
}

}  // namespace lastrow::ui
