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

}  // namespace

void draw_legend(Panel& panel) {
  Rect bar = panel.layout.legend.inset(8, 0);
  const ImU32 ink = panel.color(panel.hex().text);
  const view::Legend& legend = panel.view.legend;
  const bool narrow = bar.width() < 1240;
  constexpr Type type = Type::small;
  for (const view::LegendEntry& entry : legend.states) {
    const float width = panel.canvas.width(type, entry.label);
    if (bar.width() < width + 40) return;
    draw_swatch(panel, bar.cut_left(26).inset(0, 8), entry.state);
    bar.cut_left(6);
    panel.canvas.text_in(bar.cut_left(width + 1), type, ink, entry.label);
    bar.cut_left(narrow ? 10.0f : 16.0f);
  }
  const float poked = panel.canvas.width(type, legend.poked);
  if (bar.width() < poked + 40) return;
  panel.canvas.dashed(bar.cut_left(26).inset(0, 8), IM_COL32(0, 0, 0, 255), 2, 4, 4,
                      IM_COL32(255, 255, 255, 255));
  bar.cut_left(6);
  panel.canvas.text_in(bar.cut_left(poked + 1), type, ink, legend.poked);
  bar.cut_left(narrow ? 10.0f : 16.0f);
  constexpr float kScale = 76, kGap = 8;
  const float width = panel.canvas.width(type, legend.value_scale) + 1;
  for (const auto& [sign, meaning] : legend.marks) {  // if there is room beside the scale
    const std::string text = sign + " " + meaning;
    const float needed = panel.canvas.width(type, text) + 1;
    if (bar.width() < needed + width + kScale + 2 * kGap) continue;
    panel.canvas.text_in(bar.cut_left(needed), type, ink, text);
    bar.cut_left(narrow ? 10.0f : 16.0f);
  }
  if (bar.width() < kScale) return;
  Rect scale = bar.cut_right(bar.width() < width + kScale + kGap ? kScale : width + kScale + kGap);
  const Touch touched = touch("scale", scale);
  if (touched.hovered) tooltip(panel, {}, legend.value_scale);
  draw_scale(panel, scale.cut_left(kScale).inset(0, 9));
  if (scale.width() > kGap)
    panel.canvas.text_in(scale, type, panel.color(panel.hex().muted), legend.value_scale, Align::right);
}

}  // namespace lastrow::ui
