// Where everything is on the screen, in logical pixels on a grid of 8.
//
//   const Layout layout = make_layout(size, view);
//   layout.panes[0].cell(t, s)                      where it is drawn
//   target_at(layout.panes[0], part, mouse)         what is at this place
//
// It is a pure function of the window's size and of how much there is to show, so tests find each cell where
// it is drawn. Take the places of rows, columns and cells only from here. Invariant: both panes have the same
// shape, so equal things stand side by side.
#pragma once

#include <array>
#include <optional>
#include <utility>

#include "viewer/draw/canvas.h"
#include "viewer/view_model/state/view_state.h"

namespace lastrow::ui {

/// Rows, columns and cells are found by position. Use them only for tokens that window.shows().
struct PaneLayout {
  Mode side = Mode::cached;
  Rect box;                          // the whole pane
  Rect title, sharing, block_title;  // lines above the rows
  Rect rows;                         // all rows of tokens: labels, Q, K, V, matrix
  Rect labels, q, k, v, matrix;      // its columns; the blocks include their gutters
  Rect output, output_title;
  Rect kept;                     // under the blocks: what is kept, or the overview
  Rect badges;                   // what pokes changed; empty without pokes
  Rect price;                    // what a cache that forgets rows changes; empty with other caches
  Rect names;                    // of the keys, under the matrix
  Rect score_bars, weight_bars;  // with a place for each key of the step
  Rect score_caption, weight_caption;
  Rect footer;
  float row_height = 40;
  float column_width = 20;
  /// Lecture mode, or little room: one line of titles, the weights' bars, no picture under the blocks.
  bool brief = false;
  bool poked = false;    // badges say what pokes changed
  bool forgets = false;  // the cache forgets rows
  float pinned_gap = 0;  // above the last row and left of the last column, if it is pinned
  int head_dim = 0;
  view::TokenWindow window;

  const Rect& block(view::Part part) const;
  /// The place of a row of a block with its gutter, without the small gap to the next row.
  Rect row(view::Part part, int position) const;
  /// The cells of that row, without the gutter.
  Rect cells(view::Part part, int position) const;
  Rect cell(int t, int s) const;  // of the matrix
  Rect column(int s) const;       // of the matrix, over all rows
  float column_center(int s) const { return column(s).center().x; }

  /// Bars show all keys of the step. If there are more keys than pixels, a bar stands for several keys.
  int n_bars() const;
  /// The first and the last key of bar i.
  std::pair<int, int> keys_of_bar(int i) const;
  /// The place of bar i in a chart, over its whole height.
  Rect bar(const Rect& chart, int i) const;
};

struct Layout {
  /// In lecture mode model, rail, inspector, costs, tabs and tab are empty. An open tab takes the room of the
  /// costs and, in a low window, of the model.
  Rect screen, top, tokens, sentence, model, rail, inspector, costs, legend;
  Rect tabs, tab;                    // the bar of tabs; the open tab, empty if none is open
  bool inspector_pops_over = false;  // the window is too narrow for a column for it
  std::array<PaneLayout, 2> panes;   // [Mode]
};

/// How much larger everything is in lecture mode, in a window of this logical size; otherwise 1.
float lecture_zoom(ImVec2 size, const view::ViewState& view);

Layout make_layout(ImVec2 size, const view::ViewState& view);
/// How many rows of tokens fit into a window of this size. It does not depend on view.window.
int rows_that_fit(ImVec2 size, const view::ViewState& view);

/// What is under the mouse in a pane.
std::optional<view::Target> target_at(const PaneLayout& pane, view::Part matrix_part, ImVec2 mouse);
/// The inverse: where a target is drawn. Empty if it is not on the screen.
Rect place_of(const PaneLayout& pane, const view::Target& target);

}  // namespace lastrow::ui
