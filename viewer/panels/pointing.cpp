#include "viewer/panels/pointing.h"

#include <algorithm>

#include "viewer/panels/scroll.h"

namespace lastrow::ui {
namespace {

using view::Part;
using view::Target;

/// From k[s] right to the diagonal cell (s, s), then down column s to row t.
void draw_elbow(Panel& panel, const PaneLayout& layout, int s, int t, const std::string& text) {
  if (!layout.window.shows(s)) return;
  const int last = layout.window.position(layout.window.n_shown() - 1);
  const int row = layout.window.shows(t) ? t : last;
  const Rect key = layout.row(Part::k, s);
  const float y = key.center().y, x = layout.column_center(s);
  const float end = layout.row(Part::score, row).center().y;
  const ImVec2 points[] = {{key.x1, y}, {x, y}, {x, end}};
  const int n = end > y + 1 ? 3 : 2;
  panel.canvas.list()->AddPolyline(points, n, panel.color(panel.hex().pane, 0.9f), ImDrawFlags_None, 5.0f);
  panel.canvas.list()->AddPolyline(points, n, panel.color(panel.hex().accent), ImDrawFlags_None, 2.0f);
  panel.canvas.list()->AddCircleFilled(points[n - 1], 4, panel.color(panel.hex().accent));
  panel.canvas.list()->AddCircleFilled(points[0], 3, panel.color(panel.hex().accent));
  if (text.empty()) return;
  const float width = panel.canvas.width(Type::small, text) + 12;
  const bool fits_right = x + 8 + width <= layout.box.x1;
  const float x0 = fits_right ? x + 8 : std::max(layout.box.x0 + 4, x - 8 - width);
  const float y0 = std::max(layout.rows.y0, y - 24);
  const Rect plate{x0, y0, x0 + width, y0 + 20};
  panel.canvas.fill_round(plate, panel.color(panel.hex().accent), 4);
  panel.canvas.text_in(plate.inset(6, 0), Type::small, panel.color(panel.hex().on_accent), text,
                       Align::center);
}

void outline(Panel& panel, const Rect& r, ImU32 color) { panel.canvas.frame(r.inset(-2), color, 2); }

std::optional<Target> target_under_mouse(Panel& panel) {
  const ImVec2 mouse = ImGui::GetIO().MousePos;
  if (!ImGui::IsWindowHovered() || panel.state.popover.contains(mouse)) return std::nullopt;
  for (const PaneLayout& layout : panel.layout.panes) {
    if (!layout.box.contains(mouse)) continue;
    const view::PaneState& pane = panel.view.panes[static_cast<size_t>(layout.side)];
    return target_at(layout, pane.matrix, mouse);
  }
  return std::nullopt;
}

}  // namespace

void draw_crosshair(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  const view::Crosshair& cross = panel.view.crosshair;
  const ImU32 color = panel.color(panel.hex().accent);
  if (cross.t >= 0 && layout.window.shows(cross.t)) {
    outline(panel, layout.row(Part::q, cross.t), color);
    if (pane.matrix != Part::none && cross.s < 0) outline(panel, layout.row(Part::score, cross.t), color);
  }
  if (cross.s >= 0 && layout.window.shows(cross.s)) {
    outline(panel, layout.row(Part::k, cross.s), color);
    outline(panel, layout.row(Part::v, cross.s), color);
  }
  if (cross.s >= 0 && layout.window.shows(cross.s) && pane.matrix != Part::none) {
    if (cross.t >= 0 && layout.window.shows(cross.t)) outline(panel, layout.cell(cross.t, cross.s), color);
  }
  if (cross.elbow && cross.s >= 0) draw_elbow(panel, layout, cross.s, cross.elbow_to, cross.elbow_text);
  if (panel.view.inspector.pinned) {
    Target pinned = panel.view.inspector.pinned->target;
    if (pinned.side == layout.side) {
      const Rect place = place_of(layout, pinned);
      if (!place.empty()) panel.canvas.frame(place.inset(-3), panel.color(panel.hex().text), 2);
    }
  }
}

void draw_sweep(Panel& panel, const PaneLayout& layout, const view::PaneState& pane) {
  if (pane.sweep_to < 0 || panel.progress >= 1) return;
  const int slot =
      std::min(pane.sweep_to, static_cast<int>(panel.progress * static_cast<float>(pane.sweep_to + 1)));
  draw_elbow(panel, layout, layout.window.position(slot), pane.decides_row, {});
}

void handle_mouse(Panel& panel) {
  const std::optional<Target> target = target_under_mouse(panel);
  if (target != panel.state.hovered) {
    panel.state.hovered = target;
    panel.send(view::Hover{target});
  }
  if (!ImGui::IsWindowHovered()) return;
  scroll_by_wheel(panel);
  if (!target) return;
  if (ImGui::IsMouseClicked(ImGuiMouseButton_Left)) panel.send(view::Pin{target});
  const bool row_of_values = target->part == Part::q || target->part == Part::k || target->part == Part::v;
  if (ImGui::IsMouseClicked(ImGuiMouseButton_Right) && row_of_values) {
    Target row = *target;
    row.column = -1;
    panel.send(view::OpenPokeMenu{row});
  }
}

}  // namespace lastrow::ui
