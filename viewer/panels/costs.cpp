// The table of costs: the whole step, with and without cache.
#include <algorithm>
#include <array>
#include <cmath>

#include "viewer/panels/panel.h"

namespace lastrow::ui {

void draw_costs(Panel& panel) {
  const std::vector<view::CostEntry>& costs = panel.view.costs;
  pane_ground(panel, panel.layout.costs);
  Rect table = panel.layout.costs.inset(12, 5);
  const ImU32 muted = panel.color(panel.hex().muted), ink = panel.color(panel.hex().text);
  const float line = std::floor(table.height() / 3);
  const auto lines = [&](Rect column) {
    return std::array<Rect, 3>{column.cut_top(line), column.cut_top(line), column.cut_top(line)};
  };
  const std::array<Rect, 3> head = lines(table.cut_left(116));
  panel.canvas.text_in(head[0], Type::small, muted, "costs of this step");
  panel.canvas.text_in(head[1], Type::label, ink, "with cache");
  panel.canvas.text_in(head[2], Type::label, ink, "without");
  const Rect all = panel.layout.costs;
  const Touch title = touch("costs", {all.x0, all.y0, head[0].x1, all.y1});
  if (title.hovered) tooltip(panel, "Costs", panel.view.costs_title);
  if (costs.empty()) return;
  const float width = table.width() / static_cast<float>(costs.size());
  for (size_t i = 0; i < costs.size(); ++i) {
    const view::CostEntry& cost = costs[i];
    Rect column = table.cut_left(width);
    panel.canvas.vertical(column.x0, column.y0 + 4, column.y1 - 4, panel.color(panel.hex().line));
    const Touch touched = touch("cost", static_cast<int>(i), column);
    column = column.inset(10, 0);
    const std::array<Rect, 3> cell = lines(column);
    const float ratio_width = panel.canvas.width(Type::body_bold, cost.ratio);
    panel.canvas.text_in(cell[0], Type::small, muted, cost.name);
    const Rect ratio{column.x1 - ratio_width, cell[1].y0, column.x1, cell[2].y1};
    panel.canvas.text_in(ratio, Type::body_bold, ink, cost.ratio, Align::right);
    const float room = column.width() - ratio_width - 6;
    const Type type = std::max(panel.canvas.width(Type::mono, cost.with),
                               panel.canvas.width(Type::mono, cost.without)) <= room
                          ? Type::mono
                          : Type::mono_small;
    for (const auto& [place, text] : {std::pair{cell[1], &cost.with}, std::pair{cell[2], &cost.without}})
      panel.canvas.text_in({place.x0, place.y0, place.x0 + room, place.y1}, type, ink, *text);
    if (touched.hovered) tooltip(panel, cost.name, cost.tooltip);
  }
}

}  // namespace lastrow::ui
