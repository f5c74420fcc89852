#include "viewer/panels/cost_callout.h"

#include <algorithm>
#include <array>

namespace lastrow::ui {
namespace {

/// How many of the sampled points of both lines the box would cover.
int covered(const CostPlotPlaces& places, const view::CostCurves& curves, const Rect& box) {
  constexpr int kSamples = 64;
  int n = 0;
  for (const view::CostLine& line : curves.lines)
    for (int i = 0; i <= kSamples; ++i) {
      const float x = static_cast<float>(i) / kSamples, s = x * static_cast<float>(curves.last_step);
      const auto before = static_cast<size_t>(s);
      const size_t after = std::min(before + 1, line.heights.size() - 1);
      const float part = s - static_cast<float>(before);
      if (box.contains(places.at(x, line.heights[before] * (1 - part) + line.heights[after] * part))) ++n;
    }
  return n;
}

/// The place beside the rule, at the top or at the bottom, that covers the lines least.
Rect place_callout(const CostPlotPlaces& places, const view::CostCurves& curves, float rule, float width,
                   float height) {
  Rect best;
  int least = -1;
  for (const float y : {places.plot.y0, places.plot.y1 - height - 3})
    for (float x : {rule - 10 - width, rule + 10}) {
      x = std::clamp(x, places.plot.x0, std::max(places.plot.x0, places.plot.x1 - width));
      const Rect box{x, y, x + width, y + height};
      // The last choice is a box that would lie over the rule.
      const int cost = covered(places, curves, box) + (rule > box.x0 && rule < box.x1 ? 100 : 0);
      if (least >= 0 && cost >= least) continue;
      least = cost;
      best = box;
    }
  return best;
}

}  // namespace

void draw_cost_callout(Panel& panel, const CostPlotPlaces& places, const view::CostHover& hover) {
  const view::CostCurves& curves = panel.view.cost_curves;
  const std::string title = hover.title + (hover.ratio == "—" ? "" : "  " + hover.ratio);
  std::array<std::string, 2> texts;
  float more_width = 0, width = panel.canvas.width(Type::label_bold, title);
  for (const std::string& more : hover.of_step)
    more_width = std::max(more_width, panel.canvas.width(Type::small, more));
  for (size_t side = 0; side < 2; ++side) {
    texts[side] = curves.lines[side].name + "  " + hover.values[side];
    width = std::max(width, panel.canvas.width(Type::small, texts[side]) + 30 + more_width);
  }
  const float rule = places.at(curves.x_of(hover.step), 0).x;
  Rect box = place_callout(places, curves, rule, width + 18, 18 + 2 * 16 + 10);
  panel.canvas.fill_round(box, panel.color(panel.hex().raised), 5);
  panel.canvas.frame_round(box, panel.color(mix(panel.hex().line, panel.hex().muted, 0.4f)), 5);
  box = box.inset(8, 5);
  panel.canvas.text_in(box.cut_top(18), Type::label_bold, panel.color(panel.hex().text), title);
  for (const size_t side : {size_t{1}, size_t{0}}) {
    Rect line = box.cut_top(16);
    draw_cost_dot(panel, {line.cut_left(14).x0 + 5, line.center().y},
                  side == 0 ? Mode::cached : Mode::recompute, 3.5f);
    panel.canvas.text_in(line.cut_right(more_width + 1), Type::small, panel.color(panel.hex().muted),
                         hover.of_step[side], Align::right);
    panel.canvas.text_in(line, Type::small, panel.color(panel.hex().text), texts[side]);
  }
}

}  // namespace lastrow::ui
