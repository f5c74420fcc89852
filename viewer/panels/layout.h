// Where everything is: a pure function of the window's size and of how much there is to show, so tests find
// each cell exactly where it is drawn. Both panes have the same shape, so equal things stand side by side.
// Distances are logical pixels on a grid of 8.
#pragma once

#include <array>
#include <optional>

#include "viewer/draw/canvas.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

/// The first visible token, if there are more than fit; −1: the view follows the newest token.
struct Scroll {
  int first_row = -1, first_column = -1;
};

struct PaneLayout {
  Mode side = Mode::cached;
  Rect box;                          // the whole pane
  Rect title, sharing, block_title;  // lines above the rows
  Rect rows;                         // everything that scrolls: labels, Q, K, V, matrix
  Rect labels, q, k, v, matrix;      // its columns; the blocks include their gutters
  Rect output, output_title, badges;
  Rect score_bars, weight_bars, score_caption, weight_caption;
  Rect footer;
  float row_height = 40;  // 54, 40, 33, 27, 18 or 13: few heights, so that a step rarely moves anything
  float column_width = 20;
  int n_tokens = 0, head_dim = 0;
  int first_row = 0, n_rows = 0;        // visible
  int first_column = 0, n_columns = 0;  // of the matrix, visible

  const Rect& block(view::Part part) const;
  /// The place of row i of a block with its gutter, without the small gap to the next row.
  Rect row(view::Part part, int i) const;
  /// The cells of that row, without the gutter.
  Rect cells(view::Part part, int i) const;
  Rect cell(int t, int s) const;  // of the matrix
  Rect column(int s) const;       // of the matrix, over all visible rows
  float column_center(int s) const;
  bool sees_row(int i) const { return i >= first_row && i < first_row + n_rows; }
  bool sees_column(int s) const { return s >= first_column && s < first_column + n_columns; }
};

struct Layout {
  Rect screen, top, tokens, sentence, rail, inspector, costs, legend;
  bool inspector_pops_over = false;  // the window is too narrow for a column for it
  std::array<PaneLayout, 2> panes;   // [Mode]
};

Layout make_layout(ImVec2 size, const view::ViewState& view, const Scroll& scroll);

/// What is under the mouse in a pane.
std::optional<view::Target> target_at(const PaneLayout& pane, view::Part matrix_part, ImVec2 mouse);
/// The inverse: where a target is drawn; empty if it is not visible.
Rect place_of(const PaneLayout& pane, const view::Target& target);

}  // namespace lastrow::ui
