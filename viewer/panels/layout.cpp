#include "viewer/panels/layout.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace lastrow::ui {
namespace {

constexpr float kGap = 8;
constexpr float kTopHeight = 48, kTokensHeight = 64, kSentenceHeight = 40, kCostsHeight = 72,
                kLegendHeight = 28, kRailWidth = 40, kInspectorWidth = 280;
constexpr float kPopOverBelow = 1280;  // narrower windows have no column for the inspector
constexpr float kGutterWidth = 8, kLeastColumn = 4, kMostColumn = 48;

/// The number of tokens chooses a bucket, and the bucket gives the height of a row. Rows are higher if there
/// is room to spare, and lower if there is too little.
struct Bucket {
  int tokens;  // the most rows it is for
  float height;
};
constexpr std::array<Bucket, 5> kBuckets{{{8, 40}, {12, 33}, {16, 27}, {24, 18}, {32, 13}}};
constexpr std::array<float, 6> kHeights{54, 40, 33, 27, 18, 13};

constexpr float kPadding = 12;
constexpr float kHeader = 8 + 24 + 20 + 32 + 4;  // title, sharing, two lines of block titles
constexpr float kGoodFooter = 150;
constexpr float kLeastFooter = 8 + 2 * (16 + 20) + 8 + 24 + 6;  // bars with captions, last line

/// Takes the first height at which all rows of the bucket fit. A height above the bucket's own must also
/// leave enough room for large bars below.
void choose_rows(PaneLayout& pane) {
  const float room = pane.box.height() - kHeader - kLeastFooter;
  float capacity = 0;
  const auto bucket = std::find_if(kBuckets.begin(), kBuckets.end(),
                                   [&](const Bucket& b) { return pane.n_tokens <= b.tokens; });
  if (bucket != kBuckets.end())
    for (const float height : kHeights) {
      const auto rows = static_cast<float>(bucket->tokens);
      const float spare = height > bucket->height ? kGoodFooter - kLeastFooter : 0;
      if (capacity != 0 || rows * height > room - spare) continue;
      pane.row_height = height;
      capacity = rows;
    }
  if (capacity == 0) {  // not all rows fit: take the lowest rows, and scroll
    pane.row_height = 13;
    capacity = std::max(1.0f, std::floor(room / 13));
  }
  pane.n_rows = std::min(pane.n_tokens, static_cast<int>(capacity));
  pane.rows = {pane.box.x0 + kPadding, pane.box.y0 + kHeader, pane.box.x1 - kPadding,
               pane.box.y0 + kHeader + capacity * pane.row_height};
}

/// From left to right: labels, Q, K, V, matrix.
void choose_columns(PaneLayout& pane) {
  const float inner = pane.rows.width();
  const float labels = std::clamp(std::floor(inner * 0.186f), 80.0f, 128.0f);
  const float gaps = 4 + 10 + 10 + 14;
  const float least_matrix = std::max(132.0f, inner * 0.32f);
  const float room = (inner - labels - gaps - least_matrix) / 3 - kGutterWidth;  // of one block's cells
  const int head_dim = std::max(1, pane.head_dim);
  float cells = std::floor(room / static_cast<float>(head_dim)) * static_cast<float>(head_dim);
  cells = std::min(cells, 6.0f * static_cast<float>(head_dim));
  cells = std::clamp(cells, std::min(56.0f, room), std::max(56.0f, room));
  const float block = kGutterWidth + std::floor(cells);

  Rect rest = pane.rows;
  pane.labels = rest.cut_left(labels);
  rest.cut_left(4);
  pane.q = rest.cut_left(block);
  rest.cut_left(10);
  pane.k = rest.cut_left(block);
  rest.cut_left(10);
  pane.v = rest.cut_left(block);
  rest.cut_left(14);
  pane.matrix = rest;

  const float cells_room = pane.matrix.width() - kGutterWidth;
  const auto n = static_cast<float>(std::max(1, pane.n_tokens));
  pane.column_width = std::clamp(std::floor(cells_room / n), kLeastColumn, kMostColumn);
  pane.n_columns = std::min(pane.n_tokens, static_cast<int>(cells_room / pane.column_width));
  pane.matrix.x1 = pane.matrix.x0 + kGutterWidth + pane.column_width * static_cast<float>(pane.n_columns);
}

void choose_lines(PaneLayout& pane) {
  Rect header{pane.rows.x0, pane.box.y0 + 8, pane.rows.x1, pane.rows.y0 - 4};
  pane.title = header.cut_top(24);
  pane.sharing = header.cut_top(20);
  pane.block_title = header;

  Rect footer{pane.rows.x0, pane.rows.y1 + 8, pane.rows.x1, pane.box.y1 - 6};
  pane.footer = footer.cut_bottom(24);
  footer.cut_bottom(4);
  const float output_height = std::clamp(pane.row_height, 20.0f, 27.0f);
  pane.output = {pane.v.x0, footer.y0 + 6, pane.v.x1, footer.y0 + 6 + output_height};
  pane.output_title = {pane.labels.x0, pane.output.y0, pane.v.x0 - 8, pane.output.y1};
  pane.badges = {pane.labels.x0, pane.output.y1 + 6, pane.v.x1, footer.y1};
  const float bars = std::clamp(std::floor((footer.height() - 2 * 16) / 2), 16.0f, 64.0f);
  Rect charts{pane.matrix.x0, footer.y0, pane.rows.x1, footer.y1};
  pane.score_caption = charts.cut_top(16);
  pane.score_bars = charts.cut_top(bars);
  pane.weight_caption = charts.cut_top(16);
  pane.weight_bars = charts.cut_top(bars);
  pane.score_bars.x1 = pane.weight_bars.x1 = pane.matrix.x1;
}

PaneLayout make_pane(const Rect& box, const view::PaneState& state, const Scroll& scroll) {
  PaneLayout pane;
  pane.side = state.side;
  pane.box = box;
  pane.n_tokens = state.n_tokens;
  pane.head_dim = state.k.head_dim;
  choose_rows(pane);
  choose_columns(pane);
  choose_lines(pane);
  const int last_row = pane.n_tokens - pane.n_rows, last_column = pane.n_tokens - pane.n_columns;
  pane.first_row = scroll.first_row < 0 ? last_row : std::min(scroll.first_row, last_row);
  pane.first_column = scroll.first_column < 0 ? last_column : std::min(scroll.first_column, last_column);
  return pane;
}

}  // namespace

const Rect& PaneLayout::block(view::Part part) const {
  switch (part) {
    case view::Part::q:
      return q;
    case view::Part::k:
      return k;
    case view::Part::v:
      return v;
    case view::Part::output:
      return output;
    case view::Part::token:
      return labels;
    default:
      return matrix;
  }
}

Rect PaneLayout::row(view::Part part, int i) const {
  const Rect& b = block(part);
  if (part == view::Part::output) return b;
  const float y = rows.y0 + static_cast<float>(i - first_row) * row_height;
  return {b.x0, y, b.x1, y + row_height - (row_height >= 18 ? 2.0f : 1.0f)};
}

Rect PaneLayout::cells(view::Part part, int i) const {
  Rect r = row(part, i);
  r.x0 += kGutterWidth;
  return r;
}

float PaneLayout::column_center(int s) const {
  return matrix.x0 + kGutterWidth + (static_cast<float>(s - first_column) + 0.5f) * column_width;
}

Rect PaneLayout::column(int s) const {
  const float x = matrix.x0 + kGutterWidth + static_cast<float>(s - first_column) * column_width;
  return {x, rows.y0, x + column_width, rows.y0 + static_cast<float>(n_rows) * row_height};
}

Rect PaneLayout::cell(int t, int s) const {
  const Rect c = column(s), r = row(view::Part::score, t);
  const float gap = column_width >= 8 ? 1.0f : 0.0f;
  return {c.x0, r.y0, c.x1 - gap, r.y1};
}

Layout make_layout(ImVec2 size, const view::ViewState& view, const Scroll& scroll) {
  Layout layout;
  layout.screen = {0, 0, size.x, size.y};
  Rect rest = layout.screen;
  layout.top = rest.cut_top(kTopHeight);
  layout.tokens = rest.cut_top(kTokensHeight);
  layout.sentence = rest.cut_top(kSentenceHeight);
  layout.legend = rest.cut_bottom(kLegendHeight);
  layout.costs = rest.cut_bottom(kCostsHeight).inset(kGap, 0);
  rest.cut_bottom(kGap);
  layout.rail = rest.cut_left(kGap + kRailWidth);
  layout.rail.x0 += kGap / 2;
  layout.inspector_pops_over = size.x < kPopOverBelow;
  rest.cut_right(kGap);
  const float inspector = std::clamp(std::floor(size.x * 0.194f), kInspectorWidth, 360.0f);
  if (!layout.inspector_pops_over) {
    layout.inspector = rest.cut_right(inspector);
    rest.cut_right(kGap);
  }
  const float width = std::floor((rest.width() - kGap) / 2);
  const Rect left = rest.cut_left(width);
  rest.cut_left(kGap);
  const Rect right = rest.cut_left(width);
  if (layout.inspector_pops_over)
    layout.inspector = {right.x1 - kInspectorWidth - kGap, right.y0 + kGap, right.x1 - kGap, right.y1 - kGap};
  layout.panes[0] = make_pane(left, view.panes[0], scroll);
  layout.panes[1] = make_pane(right, view.panes[1], scroll);
  return layout;
}

std::optional<view::Target> target_at(const PaneLayout& pane, view::Part matrix_part, ImVec2 mouse) {
  using view::Part;
  const int d_count = std::max(1, pane.head_dim);
  const auto value_column = [&](const Rect& block) {
    const float x = (mouse.x - block.x0 - kGutterWidth) / (block.width() - kGutterWidth);
    return x < 0 ? -1 : std::min(d_count - 1, static_cast<int>(x * static_cast<float>(d_count)));
  };
  if (pane.output.contains(mouse))
    return view::Target{pane.side, Part::output, pane.n_tokens - 1, value_column(pane.output)};
  for (const Rect* bars : {&pane.score_bars, &pane.weight_bars}) {
    if (!bars->contains(mouse)) continue;
    const int s = pane.first_column +
                  static_cast<int>(std::floor((mouse.x - bars->x0 - kGutterWidth) / pane.column_width));
    if (!pane.sees_column(s)) return std::nullopt;
    return view::Target{pane.side, bars == &pane.score_bars ? Part::score : Part::weight, pane.n_tokens - 1,
                        s};
  }
  if (!pane.rows.contains(mouse)) return std::nullopt;
  const int row = pane.first_row + static_cast<int>((mouse.y - pane.rows.y0) / pane.row_height);
  if (!pane.sees_row(row)) return std::nullopt;
  for (const Part part : {Part::q, Part::k, Part::v})
    if (pane.block(part).contains(mouse))
      return view::Target{pane.side, part, row, value_column(pane.block(part))};
  if (pane.labels.contains(mouse)) return view::Target{pane.side, Part::token, row, -1};
  if (matrix_part != Part::none && pane.matrix.contains(mouse)) {
    const float x = mouse.x - pane.matrix.x0 - kGutterWidth;
    const int s = x < 0 ? -1 : pane.first_column + static_cast<int>(x / pane.column_width);
    return view::Target{pane.side, matrix_part, row, s};
  }
  return std::nullopt;
}

Rect place_of(const PaneLayout& pane, const view::Target& target) {
  using view::Part;
  if (target.part == Part::none) return {};
  if (target.part == Part::output) return pane.output;
  if (!pane.sees_row(target.row)) return {};
  if (target.part == Part::score || target.part == Part::weight) {
    if (target.column < 0) return pane.row(target.part, target.row);
    return pane.sees_column(target.column) ? pane.cell(target.row, target.column) : Rect{};
  }
  const Rect row = pane.row(target.part, target.row);
  if (target.column < 0 || target.part == Part::token) return row;
  const Rect cells = pane.cells(target.part, target.row);
  const float width = cells.width() / static_cast<float>(std::max(1, pane.head_dim));
  const float x = cells.x0 + static_cast<float>(target.column) * width;
  return {x, cells.y0, x + width, cells.y1};
}

}  // namespace lastrow::ui
