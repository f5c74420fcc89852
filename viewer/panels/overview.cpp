#include "viewer/panels/overview.h"

#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"
#include "viewer/view_model/state/overview.h"

namespace lastrow::ui {
namespace {

using view::State;

Rect bin_rows(const Rect& r, int first, int last, int bins) {
  const float h = r.height() / static_cast<float>(bins);
  return {r.x0, r.y0 + static_cast<float>(first) * h, r.x1, r.y0 + static_cast<float>(last) * h};
}

/// Draws a row of cells; neighbours of the same colour become one rectangle.
template <typename ColorOf>
void draw_cells(Canvas& canvas, const Rect& row, int n, ColorOf color_of) {
  const float w = row.width() / static_cast<float>(n);
  for (int i = 0; i < n;) {
    const ImU32 color = color_of(i);
    int j = i + 1;
    while (j < n && color_of(j) == color) ++j;
    canvas.list()->AddRectFilled({row.x0 + static_cast<float>(i) * w, row.y0},
                                 {row.x0 + static_cast<float>(j) * w, row.y1}, color);
    i = j;
  }
}

void draw_weights(Panel& panel, const Rect& r, const view::Overview& all) {
  const ImU32 masked = panel.color(mix(panel.hex().pane, panel.hex().masked, 0.18f));
  const ImU32 nothing = panel.color(panel.hex().pane);  // not stored
  const ImU32 unused = panel.color(mix(panel.hex().pane, panel.hex().again_unused, 0.3f));
  for (int row = 0; row < all.bins; ++row) {
    const State state = all.rows[static_cast<size_t>(row)];
    if (state == State::absent || state == State::not_yet) continue;
    const float* weights = all.weights.data() + static_cast<size_t>(row * all.bins);
    draw_cells(panel.canvas, bin_rows(r, row, row + 1, all.bins), all.bins, [&](int column) {
      const bool any_stored = all.stored[static_cast<size_t>(column)] || column > row;
      if (all.unseen[static_cast<size_t>(row * all.bins + column)]) return any_stored ? masked : nothing;
      const float x = view::kWeightScale.at(weights[column]);
      if (state == State::again_unused && x < 0.04f) return unused;
      return panel.canvas.colors().value(x);
    });
  }
  panel.canvas.dashed(r, panel.color(panel.hex().absent), 1, 4, 3);
}

void draw_rows(Panel& panel, const Rect& r, const view::Overview& all, const std::vector<float>& values,
               const view::ValueScale& scale) {
  for (int row = 0; row < all.bins; ++row) {
    if (!all.stored[static_cast<size_t>(row)]) continue;
    const float* x = values.data() + static_cast<size_t>(row * all.head_dim);
    draw_cells(panel.canvas, bin_rows(r, row, row + 1, all.bins), all.head_dim,
               [&](int d) { return panel.canvas.colors().value(scale.at(x[d])); });
  }
  if (std::find(all.stored.begin(), all.stored.end(), false) != all.stored.end())
    panel.canvas.frame(r, panel.canvas.colors().state(State::not_stored), 1);
}

/// Follows the mouse that presses or drags anywhere in the overview.
void drag_window(Panel& panel, const OverviewLayout& layout, const view::PaneState& pane) {
  const Rect all{layout.matrix.x0, layout.matrix.y0, layout.v.x1, layout.matrix.y1};
  const Touch touched = touch("overview", static_cast<int>(pane.side), all);
  const view::TokenWindow& window = panel.view.window;
  if (touched.hovered) tooltip(panel, pane.overview->caption, pane.overview->tooltip);
  if (!ImGui::IsItemActive()) return;
  const float y = (ImGui::GetIO().MousePos.y - all.y0) / all.height();
  const int middle = static_cast<int>(y * static_cast<float>(window.n_tokens));
  const int first = std::clamp(middle - window.n / 2, 0, window.last_first());
  if (first != window.first) panel.send(view::ScrollTo{first == window.last_first() ? view::kNewest : first});
}

}  // namespace

Rect OverviewLayout::frame(const view::TokenWindow& window) const {
  const float size = matrix.height() / static_cast<float>(std::max(1, window.n_tokens));
  const float from = static_cast<float>(window.first) * size,
              to = std::max(from + 4, static_cast<float>(window.first + window.n) * size);
  return {matrix.x0 + from, matrix.y0 + from, matrix.x0 + to, matrix.y0 + to};
}

OverviewLayout overview_layout(Rect& room) {
  OverviewLayout out;
  Rect all = room.cut_left(std::min(room.width() - 100, room.height() * 1.9f + 8));
  const float size = std::min(all.height(), all.width() * 0.55f);
  out.matrix = all.cut_left(size);
  out.matrix.y1 = out.matrix.y0 + size;
  all.cut_left(8);
  const float block = std::floor((all.width() - 6) / 2);
  out.k = all.cut_left(block);
  all.cut_left(6);
  out.v = all.cut_left(block);
  out.k.y1 = out.v.y1 = out.matrix.y1;
  room.cut_left(10);
  out.caption = room;
  return out;
}

void draw_overview(Panel& panel, const OverviewLayout& layout, const view::PaneState& pane) {
  if (!pane.overview) return;
  const view::Overview& all = *pane.overview;
  if (pane.matrix != view::Part::none) draw_weights(panel, layout.matrix, all);
  draw_rows(panel, layout.k, all, all.k, pane.k.scale);
  draw_rows(panel, layout.v, all, all.v, pane.v.scale);
  const ImU32 ink = panel.color(panel.hex().accent);
  const Rect frame = layout.frame(pane.window);
  panel.canvas.frame(frame.inset(-1), ink, 1.5f);
  for (const Rect* block : {&layout.k, &layout.v})
    panel.canvas.frame({block->x0 - 1, frame.y0 - 1, block->x1 + 1, frame.y1 + 1}, ink, 1.5f);
  const Rect last{layout.matrix.x0, layout.matrix.y1 - 2, layout.v.x1, layout.matrix.y1};
  panel.canvas.fill(last, panel.color(panel.hex().text));
  drag_window(panel, layout, pane);
}

}  // namespace lastrow::ui
