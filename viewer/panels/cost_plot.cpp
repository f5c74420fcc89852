#include "viewer/panels/cost_plot.h"

#include <algorithm>
#include <cmath>

#include "viewer/panels/cost_callout.h"

namespace lastrow::ui {
namespace {

constexpr float kSmallBelow = 420;  // narrower plots have their names above, not at the ends of the lines
constexpr std::array<Mode, 2> kSides = {Mode::cached, Mode::recompute};

/// The points of one line, from step `first` to step `last`, as far as they are measured. Steps that fall on
/// the same pixel are skipped.
std::vector<ImVec2> points_of(const CostPlotPlaces& places, const view::CostCurves& curves, size_t side,
                              int first, int last) {
  std::vector<ImVec2> points;
  const std::vector<float>& heights = curves.lines[side].heights;
  for (int step = first; step <= last; ++step) {
    const float height = heights[static_cast<size_t>(step)];
    if (std::isnan(height)) break;
    const ImVec2 p = places.at(curves.x_of(step), height);
    if (step != first && step != last && p.x - points.back().x < 0.75f) continue;
    points.push_back(p);
  }
  return points;
}

/// Fills between the two lines. It is stronger at the upper line, so that the gap seems to open.
void fill_gap(Panel& panel, const CostPlotPlaces& places, int first, int last, float strength) {
  const view::CostCurves& curves = panel.view.cost_curves;
  const std::vector<ImVec2> low = points_of(places, curves, 0, first, last),
                            high = points_of(places, curves, 1, first, last);
  const size_t n = std::min(low.size(), high.size());
  if (n < 2) return;
  const Hex color = cost_color(panel.hex(), Mode::recompute);
  const ImU32 top = panel.color(color, 0.34f * strength), bottom = panel.color(color, 0.08f * strength);
  ImDrawList* list = panel.canvas.list();
  const ImVec2 white = ImGui::GetFontTexUvWhitePixel();
  for (size_t i = 0; i + 1 < n; ++i) {
    list->PrimReserve(6, 4);
    const auto first_vertex = static_cast<ImDrawIdx>(list->_VtxCurrentIdx);
    for (const int corner : {0, 1, 2, 0, 2, 3})
      list->PrimWriteIdx(static_cast<ImDrawIdx>(first_vertex + corner));
    list->PrimWriteVtx(high[i], white, top);
    list->PrimWriteVtx(high[i + 1], white, top);
    list->PrimWriteVtx(low[i + 1], white, bottom);
    list->PrimWriteVtx(low[i], white, bottom);
  }
}

void draw_line(Panel& panel, const CostPlotPlaces& places, size_t side, int first, int last, float alpha) {
  const std::vector<ImVec2> points = points_of(places, panel.view.cost_curves, side, first, last);
  if (points.size() < 2) return;
  panel.canvas.list()->AddPolyline(points.data(), static_cast<int>(points.size()),
                                   panel.color(cost_color(panel.hex(), kSides[side]), alpha),
                                   ImDrawFlags_None, places.small ? 2.0f : 2.5f);
}

/// A small dot for each step, if there is room for them.
void dot_steps(Panel& panel, const CostPlotPlaces& places, size_t side) {
  constexpr float kApart = 16;
  const view::CostCurves& curves = panel.view.cost_curves;
  if (places.plot.width() / static_cast<float>(std::max(1, curves.last_step)) < kApart) return;
  const std::vector<ImVec2> points = points_of(places, curves, side, 0, curves.last_step);
  for (size_t i = 0; i < points.size(); ++i)
    panel.canvas.list()->AddCircleFilled(
        points[i], 3,
        panel.color(cost_color(panel.hex(), kSides[side]), static_cast<int>(i) > curves.step ? 0.4f : 1), 16);
}

void draw_axes(Panel& panel, const CostPlotPlaces& places) {
  const view::CostCurves& curves = panel.view.cost_curves;
  const ImU32 grid = panel.color(panel.hex().line), muted = panel.color(panel.hex().muted);
  float lowest = 1e9f;  // of the labels so far
  for (const view::AxisTick& tick : curves.y.ticks) {
    const float y = places.at(0, tick.at).y;
    panel.canvas.horizontal(places.plot.x0, places.plot.x1, y, grid);
    if (lowest - y < kPlotLine) continue;
    panel.canvas.text_in({places.y_labels.x0, y - kPlotLine / 2, places.y_labels.x1, y + kPlotLine / 2},
                         Type::small, muted, tick.label, Align::right);
    lowest = y;
  }
  if (!places.small && !curves.hover) {  // the box of the values may need its place
    const Rect title{places.plot.x0 + 8, places.plot.y0 + 2, places.plot.x1, places.plot.y0 + 2 + kPlotLine};
    panel.canvas.text_in(title, Type::small, muted, curves.y.title);
  }
  panel.canvas.horizontal(places.plot.x0, places.plot.x1, places.plot.y1, panel.color(panel.hex().absent));
  float taken = -1e9f;
  for (const view::AxisTick& tick : curves.x.ticks) {
    const float width = panel.canvas.width(Type::small, tick.label), x = places.at(tick.at, 0).x;
    const float x0 = std::clamp(x - width / 2, places.y_labels.x0, places.x_labels.x1 - width);
    if (x0 < taken + 6) continue;
    panel.canvas.vertical(x, places.plot.y1, places.plot.y1 + 3, panel.color(panel.hex().absent));
    panel.canvas.text_in({x0, places.x_labels.y0, x0 + width + 1, places.x_labels.y1}, Type::small, muted,
                         tick.label);
    taken = x0 + width;
  }
}

/// A vertical rule at a step, with a dot on each line.
void mark_step(Panel& panel, const CostPlotPlaces& places, int step, ImU32 color, float radius) {
  const view::CostCurves& curves = panel.view.cost_curves;
  panel.canvas.vertical(places.at(curves.x_of(step), 0).x, places.plot.y0, places.plot.y1, color);
  for (const size_t side : {size_t{1}, size_t{0}}) {  // the lower one is smaller, so both can be seen
    const float height = curves.lines[side].heights[static_cast<size_t>(step)];
    if (!std::isnan(height))
      draw_cost_dot(panel, places.at(curves.x_of(step), height), kSides[side],
                    side == 0 ? radius - 1 : radius);
  }
}

/// The names and last values of the lines, at their ends. Labels that would overlap are pushed apart.
void label_ends(Panel& panel, const CostPlotPlaces& places) {
  constexpr float kHeight = 2 * kPlotLine + 4;
  const view::CostCurves& curves = panel.view.cost_curves;
  const auto end_of = [&](size_t side) {
    const float height = curves.lines[side].heights.back();
    return places.at(1, std::isnan(height) ? (side == 0 ? 0.0f : 1.0f) : height).y;
  };
  float high = std::max(end_of(1), places.plot.y0 + kHeight / 2 - 6);
  float low = std::min(end_of(0), places.plot.y1 - kHeight / 2 + 6);
  if (low - high < kHeight) {
    const float middle =
        std::clamp((low + high) / 2, places.plot.y0 + kHeight - 6, places.plot.y1 - kHeight + 6);
    high = middle - kHeight / 2;
    low = middle + kHeight / 2;
  }
  const std::array<float, 2> centers = {low, high};
  for (size_t side = 0; side < 2; ++side) {
    const view::CostLine& line = curves.lines[side];
    Rect r = places.end_labels;
    const Rect bar{r.x0 + 6, centers[side] - kPlotLine, r.x0 + 9, centers[side] + kPlotLine};
    panel.canvas.fill(bar, panel.color(cost_color(panel.hex(), kSides[side])));
    r.x0 += 15;
    r.y0 = centers[side] - kPlotLine - 1;
    panel.canvas.text_in(r.cut_top(kPlotLine), Type::small, panel.color(panel.hex().muted), line.name);
    r.y1 = r.y0 + kPlotLine + 2;
    panel.canvas.text_in(r, line.measured ? Type::label_bold : Type::small, panel.color(panel.hex().text),
                         line.end_label);
  }
}

/// In a small plot: names and values above it, one line of text for each side, at the step under the mouse or
/// else at the step that is shown.
void label_header(Panel& panel, const CostPlotPlaces& places) {
  Rect header = places.header;
  for (const size_t side : {size_t{1}, size_t{0}}) {
    const view::CostLine& line = panel.view.cost_curves.lines[side];
    Rect r = header.cut_top(16);
    const Rect mark = r.cut_left(16);
    panel.canvas.fill({mark.x0, mark.center().y - 1.5f, mark.x0 + 11, mark.center().y + 1.5f},
                      panel.color(cost_color(panel.hex(), kSides[side])));
    const auto& hover = panel.view.cost_curves.hover;
    const std::string& value = hover ? hover->values[side] : line.now_label;
    const float width = panel.canvas.width(Type::label_bold, value) + 1;
    panel.canvas.text_in(r.cut_right(width), Type::label_bold, panel.color(panel.hex().text), value,
                         Align::right);
    panel.canvas.text_in(r, Type::small, panel.color(panel.hex().muted), line.name);
  }
}

/// Where a line is at this x, between its points.
float height_at(const CostPlotPlaces& places, const view::CostCurves& curves, size_t side, float x) {
  const std::vector<float>& heights = curves.lines[side].heights;
  const float s = (x - places.plot.x0) / places.plot.width() * static_cast<float>(curves.last_step);
  const auto before = std::min(static_cast<size_t>(std::max(0.0f, s)), heights.size() - 1);
  const size_t after = std::min(before + 1, heights.size() - 1);
  const float part = std::clamp(s - static_cast<float>(before), 0.0f, 1.0f);
  return places.at(0, heights[before] * (1 - part) + heights[after] * part).y;
}

/// In a small plot: the ratio, in the gap between the lines and beside the rule.
void label_gap(Panel& panel, const CostPlotPlaces& places) {
  const view::CostCurves& curves = panel.view.cost_curves;
  const auto now = static_cast<size_t>(curves.step);
  const ImVec2 low = places.at(curves.x_of(curves.step), curves.lines[0].heights[now]),
               high = places.at(curves.x_of(curves.step), curves.lines[1].heights[now]);
  if (!(low.y - high.y > 34)) return;  // no room, or not measured
  const float width = panel.canvas.width(Type::body_bold, curves.ratio),
              y = high.y + 0.64f * (low.y - high.y);
  // Left of the rule. If it would touch the upper line there, right of the rule.
  const float left = low.x - 8 - width, right = low.x + 8;
  const bool is_free = left > places.plot.x0 + 30 && height_at(places, curves, 1, left) < y - 10;
  const float x = is_free || right + width > places.plot.x1 ? left : right;
  panel.canvas.text_in({x, y - 8, x + width + 1, y + 8}, Type::body_bold, panel.color(panel.hex().text),
                       curves.ratio);
}

/// The mouse: over the plot it chooses a step, a click goes there.
void follow_mouse(Panel& panel, const CostPlotPlaces& places, const char* id) {
  const view::CostCurves& curves = panel.view.cost_curves;
  const Touch touched = touch("cost plot", places.plot);
  std::optional<int> step;
  if (touched.hovered)
    step = curves.step_at((ImGui::GetIO().MousePos.x - places.plot.x0) / places.plot.width());
  if (!step && panel.state.cost_plot != id) return;  // the mouse may be over another plot
  if (step != panel.state.cost_step) panel.send(view::HoverCost{step});
  panel.state.cost_step = step;
  panel.state.cost_plot = step ? id : "";
  if (touched.clicked && step) panel.send(view::GoToStep{*step, false});
}

}  // namespace

void draw_cost_dot(Panel& panel, ImVec2 at, Mode side, float radius) {
  panel.canvas.list()->AddCircleFilled(at, radius + 1.5f, panel.color(panel.hex().pane), 24);
  panel.canvas.list()->AddCircleFilled(at, radius, panel.color(cost_color(panel.hex(), side)), 24);
}

Hex cost_color(const Palette& palette, Mode side) {
  return side == Mode::cached ? palette.cache : palette.again_unused;
}

CostPlotPlaces cost_plot_places(const Rect& r) {
  CostPlotPlaces places;
  places.small = r.width() < kSmallBelow;
  Rect rest = r;
  if (places.small) {
    places.header = rest.cut_top(34);
    rest.cut_top(4);
  } else {
    places.end_labels = rest.cut_right(112);
  }
  rest.cut_top(7);  // half a label above the highest tick
  places.x_labels = rest.cut_bottom(18);
  places.y_labels = rest.cut_left(places.small ? 50.0f : 62.0f);
  places.y_labels.x1 -= 6;
  places.x_labels.y0 += 3;
  if (places.small) rest.cut_right(6);
  places.plot = rest;
  places.x_labels.x0 = places.plot.x0;
  return places;
}

void draw_cost_curve(Panel& panel, const Rect& r, const char* id) {
  const CostPlotPlaces places = cost_plot_places(r);
  const view::CostCurves& curves = panel.view.cost_curves;
  ImGui::PushID(id);
  follow_mouse(panel, places, id);
  ImGui::PopID();
  draw_axes(panel, places);
  fill_gap(panel, places, 0, curves.step, 1);
  fill_gap(panel, places, curves.step, curves.last_step, 0.5f);
  for (const size_t side : {size_t{1}, size_t{0}}) {
    draw_line(panel, places, side, curves.step, curves.last_step, 0.5f);
    draw_line(panel, places, side, 0, curves.step, 1);
    dot_steps(panel, places, side);
  }
  mark_step(panel, places, curves.step, panel.color(panel.hex().text, 0.55f), 4.5f);
  if (places.small) {
    label_header(panel, places);
    if (!curves.hover) label_gap(panel, places);
  } else {
    label_ends(panel, places);
  }
  if (!curves.hover) return;
  mark_step(panel, places, curves.hover->step, panel.color(panel.hex().accent, 0.8f), 4);
  if (!places.small) draw_cost_callout(panel, places, *curves.hover);
}

}  // namespace lastrow::ui
