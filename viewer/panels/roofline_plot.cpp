#include "viewer/panels/roofline_plot.h"

#include <algorithm>
#include <cmath>

#include "viewer/panels/cost_plot.h"

namespace lastrow::ui {
namespace {

ImVec2 at(const Rect& plot, float x, float y) {
  return {plot.x0 + x * plot.width(), plot.y1 - y * plot.height()};
}

void draw_axes(Panel& panel, const Rect& plot, const Rect& x_labels, const Rect& y_labels) {
  const view::RooflinePicture& picture = panel.view.cost_curves.roofline;
  const ImU32 grid = panel.color(panel.hex().line), muted = panel.color(panel.hex().muted);
  float lowest = 1e9f;
  for (const view::AxisTick& tick : picture.y.ticks) {
    const float y = at(plot, 0, tick.at).y;
    panel.canvas.horizontal(plot.x0, plot.x1, y, grid);
    if (lowest - y < kPlotLine) continue;
    panel.canvas.text_in({y_labels.x0, y - kPlotLine / 2, y_labels.x1, y + kPlotLine / 2}, Type::small, muted,
                         tick.label, Align::right);
    lowest = y;
  }
  const float title_width = panel.canvas.width(Type::small, picture.x.title) + 1;
  Rect title = x_labels;
  title.x0 = x_labels.x1 - title_width;
  panel.canvas.text_in(title, Type::small, muted, picture.x.title, Align::right);
  float taken = -1e9f;
  for (const view::AxisTick& tick : picture.x.ticks) {
    const float width = panel.canvas.width(Type::small, tick.label);
    panel.canvas.vertical(at(plot, tick.at, 0).x, plot.y0, plot.y1, grid);
    const float x = std::max(at(plot, tick.at, 0).x, plot.x0 + width / 2 - 2);
    if (x - width / 2 < taken + 6 || x + width / 2 > title.x0 - 6) continue;
    panel.canvas.text_in({x - width / 2, x_labels.y0, x + width / 2 + 1, x_labels.y1}, Type::small, muted,
                         tick.label);
    taken = x + width / 2;
  }
}

/// Texts that never overlap each other or a point: each takes the first free place of those it is offered.
class Labels {
 public:
  Labels(Panel& panel, const Rect& plot) : panel_(panel), plot_(plot) {}
  void take(const Rect& r) { taken_.push_back(r); }
  float width(std::string_view text) const { return panel_.canvas.width(Type::small, text) + 1; }
  /// A place is the left end of the text and its middle.
  void write(std::string_view text, Hex color, const std::vector<ImVec2>& places) {
    for (const ImVec2& place : places) {
      const Rect r{place.x, place.y - kPlotLine / 2, place.x + width(text), place.y + kPlotLine / 2};
      if (r.x0 < plot_.x0 + 2 || r.x1 > plot_.x1 - 1 || r.y0 < plot_.y0 - 8 || r.y1 > plot_.y1) continue;
      const bool free = std::none_of(taken_.begin(), taken_.end(), [&](const Rect& t) {
        return r.x0 < t.x1 + 3 && t.x0 < r.x1 + 3 && r.y0 < t.y1 && t.y0 < r.y1;
      });
      if (!free) continue;
      take(r);
      panel_.canvas.fill({r.x0 - 2, r.y0, r.x1 + 2, r.y1}, panel_.color(panel_.hex().pane, 0.75f));
      panel_.canvas.text_in(r, Type::small, panel_.color(color), text);
      return;
    }
  }

 private:
  Panel& panel_;
  Rect plot_;
  std::vector<Rect> taken_;
};

void draw_roofs(Panel& panel, const Rect& plot) {
  const view::RooflinePicture& picture = panel.view.cost_curves.roofline;
  for (const view::RoofLine& roof : picture.roofs) {
    std::vector<ImVec2> line;
    for (const auto& [x, y] : roof.corners) line.push_back(at(plot, x, y));
    panel.canvas.list()->AddPolyline(line.data(), static_cast<int>(line.size()),
                                     panel.color(panel.hex().text, roof.limits ? 0.85f : 0.35f),
                                     ImDrawFlags_None, roof.limits ? 2.0f : 1.5f);
  }
  const ImVec2 ridge = at(plot, picture.ridge_x, picture.ridge_y);
  panel.canvas.list()->AddCircleFilled(ridge, 3, panel.color(panel.hex().text), 16);
}

/// Beside the slopes: the upper one has its label on the left, the lower one on the right.
void label_roofs(Panel& panel, const Rect& plot, Labels& labels) {
  const view::RooflinePicture& picture = panel.view.cost_curves.roofline;
  const ImVec2 ridge = at(plot, picture.ridge_x, picture.ridge_y);
  const float peak = labels.width(picture.peak_label), ridge_width = labels.width(picture.ridge_label);
  labels.write(picture.peak_label, panel.hex().text,
               {{plot.x1 - peak - 3, ridge.y - 9}, {plot.x1 - peak - 3, ridge.y + 10}});
  for (size_t i = 0; i < picture.roofs.size(); ++i) {
    const view::RoofLine& roof = picture.roofs[i];
    if (roof.corners.size() < 3) continue;
    const auto& [x0, y0] = roof.corners[0];
    const auto& [x1, y1] = roof.corners[1];
    const float width = labels.width(roof.label);
    std::vector<ImVec2> places;
    for (const float along : {0.5f, 0.35f, 0.65f, 0.2f, 0.8f, 0.1f, 0.9f}) {
      const ImVec2 p = at(plot, x0 + (x1 - x0) * along, y0 + (y1 - y0) * along);
      if (i == 0)
        places.push_back({p.x - 10 - width, p.y - 3});
      else
        places.push_back({p.x + 10, p.y + 5});
    }
    labels.write(roof.label, roof.limits ? panel.hex().text : panel.hex().muted, places);
  }
  labels.write(picture.ridge_label, panel.hex().muted,
               {{ridge.x - ridge_width / 2, ridge.y - 11}, {ridge.x + 6, ridge.y + 10}});
}

/// A disc for the step with the cache, a larger square for the other: both can be seen at one place.
void draw_points(Panel& panel, const Rect& plot) {
  const auto& points = panel.view.cost_curves.roofline.points;
  for (const size_t side : {size_t{1}, size_t{0}}) {
    if (!points[side]) continue;
    const ImVec2 p = at(plot, points[side]->x, points[side]->y);
    const ImU32 color = panel.color(cost_color(panel.hex(), side == 0 ? Mode::cached : Mode::recompute));
    const ImU32 edge = panel.color(panel.hex().pane);
    if (side == 0) {
      panel.canvas.list()->AddCircleFilled(p, 6.5f, edge, 24);
      panel.canvas.list()->AddCircleFilled(p, 5, color, 24);
    } else {
      panel.canvas.fill({p.x - 8, p.y - 8, p.x + 8, p.y + 8}, edge);
      panel.canvas.fill({p.x - 6.5f, p.y - 6.5f, p.x + 6.5f, p.y + 6.5f}, color);
    }
    const Touch touched = touch("roof point", static_cast<int>(side), {p.x - 8, p.y - 8, p.x + 8, p.y + 8});
    if (touched.hovered) tooltip(panel, points[side]->label, points[side]->tooltip);
  }
}

void label_points(Panel& panel, const Rect& plot, Labels& labels) {
  const auto& points = panel.view.cost_curves.roofline.points;
  for (const auto& point : points) {
    if (!point) continue;
    const ImVec2 p = at(plot, point->x, point->y);
    labels.take({p.x - 7, p.y - 7, p.x + 7, p.y + 7});
  }
  for (const auto& point : points) {
    if (!point) continue;
    const ImVec2 p = at(plot, point->x, point->y);
    const float width = labels.width(point->label);
    labels.write(
        point->label, panel.hex().text,
        {{p.x + 11, p.y}, {p.x - 12 - width, p.y}, {p.x - width / 2, p.y + 15}, {p.x - width / 2, p.y - 15}});
  }
}

/// The text, in as many lines as it needs. Returns the height.
float write_sentence(Panel& panel, const Rect& r, std::string_view text) {
  constexpr float kLineHeight = 15;
  const int lines = std::max(1, static_cast<int>(r.height() / kLineHeight));
  return panel.canvas.text_lines(r, Type::small, panel.color(panel.hex().text), text, lines, kLineHeight);
}

}  // namespace

void draw_roofline_plot(Panel& panel, const Rect& r) {
  const view::RooflinePicture& picture = panel.view.cost_curves.roofline;
  Rect rest = r;
  const Rect title = rest.cut_top(20);
  panel.canvas.text_in(title, Type::label_bold, panel.color(panel.hex().text), picture.title);
  rest.cut_top(write_sentence(panel, rest, picture.sentence) + 2);
  const Touch touched = touch("roofline", {r.x0, r.y0, r.x1, rest.y0});
  if (touched.hovered && !picture.note.empty()) tooltip(panel, picture.title, picture.note);
  if (!picture.measured || rest.height() < 60) return;
  rest.cut_top(10);
  Rect x_labels = rest.cut_bottom(16);
  Rect y_labels = rest.cut_left(42);
  y_labels.x1 -= 6;
  x_labels.x0 = rest.x0;
  x_labels.y0 += 2;
  draw_axes(panel, rest, x_labels, y_labels);
  panel.canvas.clip(rest);
  draw_roofs(panel, rest);
  panel.canvas.unclip();
  Labels labels(panel, rest);
  label_points(panel, rest, labels);
  label_roofs(panel, rest, labels);
  draw_points(panel, rest);
}

}  // namespace lastrow::ui
