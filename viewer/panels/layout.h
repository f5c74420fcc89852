// Where everything is: a pure function of the window's size and of how much there is to show, so that tests
// and pictures find a cell where a person would. Both panes have the same shape: equal things stand side by
// side. Distances are logical pixels on a grid of 8.
#pragma once

#include <array>
#include <optional>

#include "viewer/draw/canvas.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

/// Which tokens are in sight where there are more than fit; −1 follows the newest.
struct Scroll {
  int first_row = -1, first_column = -1;
};

struct PaneLayout {
  Mode side = Mode::cached;
  Rect box;                          // the whole pane
  Rect title, sharing, block_title;  // lines above the rows
  Rect rows;                         // all that scrolls: labels, Q, K, V, matrix
  Rect labels, q, k, v, matrix;      // columns of it; blocks with their gutter
  Rect output, output_title, badges;
  Rect score_bars, weight_bars, score_caption, weight_caption;
  Rect footer;
  float row_height = 40;  // 54, 40, 33, 27, 18 or 13: by buckets, so that a step rarely moves anything
  float column_width = 20;
  int n_tokens = 0, head_dim = 0;
  int first_row = 0, n_rows = 0;        // in sight
  int first_column = 0, n_columns = 0;  // of the matrix, in sight

  const Rect& block(view::Part part) const;
  /// The place of row i of a block, gutter included; a little space to the next row is left out.
  Rect row(view::Part part, int i) const;
  /// The cells of that row, without the gutter.
  Rect cells(view::Part part, int i) const;
  Rect cell(int t, int s) const;  // of the matrix
  Rect column(int s) const;       // of the matrix, over all rows in sight
  float column_center(int s) const;
  bool sees_row(int i) const { return i >= first_row && i < first_row + n_rows; }
  bool sees_column(int s) const { return s >= first_column && s < first_column + n_columns; }
};

struct Layout {
  Rect screen, top, tokens, sentence, rail, inspector, costs, legend;
  bool inspector_pops_over = false;  // too narrow for a column of its own
  std::array<PaneLayout, 2> panes;   // [Mode]
};

Layout make_layout(ImVec2 size, const view::ViewState& view, const Scroll& scroll);

/// What is under the mouse in a pane.
std::optional<view::Target> target_at(const PaneLayout& pane, view::Part matrix_part, ImVec2 mouse);
/// The inverse: where a target is drawn; empty if it is scrolled out of sight.
Rect place_of(const PaneLayout& pane, const view::Target& target);

}  // namespace lastrow::ui
