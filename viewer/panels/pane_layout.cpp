// Where things are within a pane.
#include <algorithm>
#include <cmath>

#include "viewer/draw/patterns.h"
#include "viewer/panels/layout.h"

namespace lastrow::ui {

using view::Part;

const Rect& PaneLayout::block(Part part) const {
  switch (part) {
    case Part::q:
      return q;
    case Part::k:
      return k;
    case Part::v:
      return v;
    case Part::output:
      return output;
    case Part::token:
      return labels;
    default:
      return matrix;
  }
}

Rect PaneLayout::row(Part part, int position) const {
  const Rect& b = block(part);
  if (part == Part::output) return b;
  const int slot = window.slot(position);
  const float gap = slot >= window.n ? pinned_gap : 0;
  const float y = rows.y0 + static_cast<float>(slot) * row_height + gap;
  return {b.x0, y, b.x1, y + row_height - (row_height >= 18 ? 2.0f : 1.0f)};
}

Rect PaneLayout::cells(Part part, int position) const {
  Rect r = row(part, position);
  r.x0 += kGutter;
  return r;
}

Rect PaneLayout::column(int s) const {
  const int slot = window.slot(s);
  const float gap = slot >= window.n ? pinned_gap : 0;
  const float x = matrix.x0 + kGutter + static_cast<float>(slot) * column_width + gap;
  return {x, rows.y0, x + column_width, rows.y1};
}

Rect PaneLayout::cell(int t, int s) const {
  const Rect c = column(s), r = row(Part::score, t);
  const float gap = column_width >= 8 ? 1.0f : 0.0f;
  return {c.x0, r.y0, c.x1 - gap, r.y1};
}

int PaneLayout::n_bars() const {
  return std::min(window.n_tokens, std::max(1, static_cast<int>(weight_bars.width() - kGutter) / 2));
}

std::pair<int, int> PaneLayout::keys_of_bar(int i) const {
  const int64_t n = window.n_tokens, bars = n_bars();
  return {static_cast<int>(i * n / bars), static_cast<int>((i + 1) * n / bars) - 1};
}

Rect PaneLayout::bar(const Rect& chart, int i) const {
  if (window.whole()) {
    const Rect c = column(i);
    return {c.x0, chart.y0, c.x1, chart.y1};
  }
  const float width = (chart.width() - kGutter) / static_cast<float>(n_bars());
  const float x = chart.x0 + kGutter + static_cast<float>(i) * width;
  return {x, chart.y0, x + width, chart.y1};
}

namespace {

/// The element of a row of values at this x; −1 in the gutter.
int element_at(const PaneLayout& pane, const Rect& block, float mouse_x) {
  const int width = std::max(1, pane.head_dim);
  const float x = (mouse_x - block.x0 - kGutter) / (block.width() - kGutter);
  return x < 0 ? -1 : std::min(width - 1, static_cast<int>(x * static_cast<float>(width)));
}

/// The token whose slot holds a coordinate; −1: none. `start` is where slot 0 begins.
int token_at(const PaneLayout& pane, float at, float start, float size) {
  const auto n = static_cast<float>(pane.window.n);
  const float along = at - start;
  if (along >= 0 && along < n * size) return pane.window.position(static_cast<int>(along / size));
  const float last = along - n * size - pane.pinned_gap;
  return pane.window.pinned && last >= 0 && last < size ? pane.window.n_tokens - 1 : -1;
}

std::optional<view::Target> bar_at(const PaneLayout& pane, ImVec2 mouse) {
  for (const Rect* chart : {&pane.score_bars, &pane.weight_bars}) {
    if (!chart->contains(mouse)) continue;
    const Part part = chart == &pane.score_bars ? Part::score : Part::weight;
    for (int i = 0; i < pane.n_bars(); ++i)
      if (pane.bar(*chart, i).contains(mouse))
        return view::Target{pane.side, part, pane.window.n_tokens - 1, pane.keys_of_bar(i).first};
  }
  return std::nullopt;
}

}  // namespace

std::optional<view::Target> target_at(const PaneLayout& pane, Part matrix_part, ImVec2 mouse) {
  if (pane.output.contains(mouse))
    return view::Target{pane.side, Part::output, pane.window.n_tokens - 1,
                        element_at(pane, pane.output, mouse.x)};
  if (const auto bar = bar_at(pane, mouse)) return bar;
  if (!pane.rows.contains(mouse)) return std::nullopt;
  const int row = token_at(pane, mouse.y, pane.rows.y0, pane.row_height);
  if (row < 0) return std::nullopt;
  for (const Part part : {Part::q, Part::k, Part::v})
    if (pane.block(part).contains(mouse))
      return view::Target{pane.side, part, row, element_at(pane, pane.block(part), mouse.x)};
  if (pane.labels.contains(mouse)) return view::Target{pane.side, Part::token, row, -1};
  if (matrix_part == Part::none || !pane.matrix.contains(mouse)) return std::nullopt;
  const int s = token_at(pane, mouse.x, pane.matrix.x0 + kGutter, pane.column_width);
  return view::Target{pane.side, matrix_part, row, s};
}

Rect place_of(const PaneLayout& pane, const view::Target& target) {
  if (target.part == Part::none) return {};
  if (target.part == Part::output) return pane.output;
  if (!pane.window.shows(target.row)) return {};
  if (target.part == Part::score || target.part == Part::weight) {
    if (target.column < 0) return pane.row(target.part, target.row);
    return pane.window.shows(target.column) ? pane.cell(target.row, target.column) : Rect{};
  }
  const Rect row = pane.row(target.part, target.row);
  if (target.column < 0 || target.part == Part::token) return row;
  const Rect cells = pane.cells(target.part, target.row);
  const float width = cells.width() / static_cast<float>(std::max(1, pane.head_dim));
  const float x = cells.x0 + static_cast<float>(target.column) * width;
  return {x, cells.y0, x + width, cells.y1};
}

}  // namespace lastrow::ui
