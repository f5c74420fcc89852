// The picture of what all steps so far have cost: a line for each side, and the gap between them.
//
//   draw_cost_curve(panel, place, "tab");      at least 200 × 110 pixels
//   cost_plot_places(place, curves)           where things are drawn, for tests
//
// The mouse over it shows the values of a step, and a click goes to that step. Never draw two plots with the
// same id in one frame.
#pragma once

#include "viewer/panels/panel.h"

namespace lastrow::ui {

constexpr float kPlotLine = 14;  // height of a line of small text in a plot

struct CostPlotPlaces {
  Rect header;  // in a small plot: the names of the lines with their values
  Rect plot;
  Rect y_labels, x_labels;
  Rect end_labels;  // in a large plot: the same, at the ends of the lines
  bool small = false;
  /// Where a line passes a step. height: CostLine::heights.
  ImVec2 at(float x, float height) const {
    return {plot.x0 + x * plot.width(), plot.y1 - height * plot.height()};
  }
};

CostPlotPlaces cost_plot_places(const Rect& r);
void draw_cost_curve(Panel& panel, const Rect& r, const char* id);
/// A point of a side's line, with an edge that separates it from the line.
void draw_cost_dot(Panel& panel, ImVec2 at, Mode side, float radius);
/// The colour of a side's line.
Hex cost_color(const Palette& palette, Mode side);

}  // namespace lastrow::ui
