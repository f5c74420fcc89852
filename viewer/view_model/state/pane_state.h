// What one pane shows: the attention of one layer and one head, on one side, at one beat.
//
// A pane shows a window of tokens (token_window.h). In every column, slot i belongs to the same token. Score
// row i is level with the query in slot i, and score column j belongs to the key in slot j. Absent rows are in
// the lists too, so every list has an entry for each slot. If all tokens are shown, slots are positions.
//   values    [n_shown, head_dim]   contiguous; 0 in absent rows
//   matrices  [n_shown, n_shown]    −∞ (scores) and 0 (weights) where masked
//
// Every row and cell has two states: `was` when the beat begins, and `is` when the beat is done. At rest,
// draw `is`. While the beat runs, mix the two by the frame's progress. A screenshot shows `is`.
// The fill of a cell shows its value and nothing else; its state is in the gutter and in an overlay.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "viewer/view_model/state/target.h"
#include "viewer/view_model/state/token_window.h"
#include "viewer/view_model/state/value_scale.h"

namespace lastrow::view {

/// The states of the legend, and not_yet: the beat has not reached the row, so nothing is drawn.
enum class State : uint8_t {
  not_yet,
  computed_now,
  again_needed,  // computed again, and something needs it
  again_unused,  // computed again, and nothing needs it; drawn at 40 %
  from_cache,
  masked,      // cells only
  absent,      // neither computed nor stored; it can still be hovered and poked
  not_stored,  // K and V, and their cells: the cache has forgotten the row
};

/// A row compared with the same row one step ago.
enum class Repeat : uint8_t {
  not_compared,
  same_bits,
  rounding,  // equal up to a few ULP: another order of summation
  changed,
};

struct Row {
  int position = 0;
  State was = State::not_yet, is = State::not_yet;
  // Below 1 for rows that are kept but not read yet, and for rows that keep/drop has faded;
  // includes the 40 % of again_unused.
  float opacity_was = 1, opacity = 1;
  // K and V on the left: whether the row is in the cache when the beat begins, and when it is done.
  bool stored_was = false, stored = false;
  int index = -1;           // of a stored row of K or V on the left, among those that the cache holds
  bool poked = false;       // drawn with black-and-white dashes and a pencil
  bool asked = false;       // the tour asks the user to poke this row
  bool not_finite = false;  // holds a NaN or ∞: black cell, white ×
  Repeat repeat = Repeat::not_compared;
  std::string repeat_text;  // "same bits", "≤ 2 ULP", "changed by 0.38"; empty where nothing was compared
};

/// Q, K or V of the head that is shown (K and V: of its K/V head).
struct ValueBlock {
  Part part = Part::none;
  std::string name;      // "Q", "K", "V"
  std::string subtitle;  // "after RoPE"; empty for V
  std::string sharing;   // "query head 5", "K/V head 1, shared by query heads 4–7"
  int head_dim = 0;
  ValueScale scale;           // the same in both panes and in all steps
  std::vector<Row> rows;      // [n_shown]
  std::vector<float> values;  // [n_shown, head_dim]
  float at(int slot, int d) const { return values[static_cast<size_t>(slot * head_dim + d)]; }
  std::string title() const { return subtitle.empty() ? name : name + " · " + subtitle; }
};

/// Scaled scores, or softmax weights.
struct MatrixBlock {
  Part part = Part::none;
  std::string name;      // "scores", "weights"
  std::string subtitle;  // "q·k / √16", "softmax"
  int n = 0;             // n_shown
  ValueScale scale;
  std::vector<Row> rows;          // [n]; state of the whole row (absent on the left for past queries)
  std::vector<float> values;      // [n, n]
  std::vector<State> was, cells;  // [n, n]; not_yet, masked, absent, or the row's state
  float at(int row, int column) const { return values[static_cast<size_t>(row * n + column)]; }
  State cell(int row, int column) const { return cells[static_cast<size_t>(row * n + column)]; }
  std::string title() const { return name + "  " + subtitle; }
};

/// The bars under the matrix: the last row again, as heights that can be compared. They show every key of the
/// step, whatever the window of tokens is.
struct LastRowBars {
  std::vector<float> scores, weights;  // [n_tokens], of the row that decides
  std::vector<bool> seen;              // [n_tokens], the keys that it sees; the others get no bar
  float largest_score = 0, smallest_score = 0;
  float weight_top = 1;                       // what the height of the chart of weights stands for
  float weight_sum = 0;                       // of all keys; 1 up to rounding
  std::string score_caption, weight_caption;  // "weights of row 7 · Σ = 1.000"
  std::string outside;                        // "62 % of weight not shown"; empty if all tokens are shown
  bool show_scores = false, show_weights = false;
  bool morph = false;  // this beat turns score bars into weight bars
};

/// The attention output of the row that decides, [head_dim]; drawn under V.
struct OutputRow {
  Row row;
  std::vector<float> values;
  ValueScale scale;
  std::string title;          // "output of head 0, row 7"
  std::vector<float> v_tint;  // [n_shown]: the weight of each V row while beat `sum` runs; otherwise empty
};

/// What a poke changed on this side, shown where it was made.
struct Badge {
  Part part = Part::none;  // the row it points at
  int position = 0;
  std::string text;        // one to three short sentences with numbers from the run
  bool no_effect = false;  // the logits are bit-identical
};

/// A slot of the cache, at the end of the beat.
struct SlotCell {
  enum class What : uint8_t {
    free,     // holds no row
    held,     // holds a row
    written,  // holds a row of this step
    freed     // its row was evicted when this step ended; a later step may write here
  };
  What what = What::free;
  int position = -1;    // of its row; −1: free
  bool reused = false;  // this step has written over a row that was forgotten
  std::string tooltip;  // "slot 5 · row 1 of block 2 · holds position 9, index 3"
};

/// Where the rows of a cache that forgets lie in its storage.
struct Pool {
  std::string title;            // "where it lies: 9 slots; 2 sinks, then a ring"
  std::string note;             // "position 9 → slot 2, where position 3 was"
  std::vector<SlotCell> slots;  // by number; empty if the cache forgets nothing
  int block_len = 1;
};

struct Overview;

struct PaneState {
  Mode side = Mode::cached;  // cached: the left pane; recompute: the right pane
  std::string name;          // "WITH CACHE"
  std::string subtitle;      // "layer 3 (last) · head 0 · 1 query meets 8 keys"
  int n_tokens = 0;
  TokenWindow window;
  std::string window_range, window_note;  // "14–32", "of 34 tokens"; empty if all tokens are shown
  int first_new_row = 0;  // positions from here on were fed in this step (all of them in prefill)
  int decides_row = 0;    // the position of the last row: framed, with the label decides_text
  std::string decides_text = "decides";
  std::vector<std::string> labels;  // [n_shown] token texts; the position stands beside each
  bool numbered = false;            // the texts are only numbers, "t17": a model with random weights
  bool forgets = false;             // the cache forgets rows
  /// [n_shown] the row is not stored, so its position is struck through. Empty on the right, and if nothing is
  /// forgotten.
  std::vector<bool> struck;
  /// [n_shown] the index of the row, "" if it is not stored. Empty while every index is its position. If the cache
  /// uses new positions: the position that RoPE or ALiBi takes for the key, "" if the last query does not read it.
  std::vector<std::string> indices;
  std::string index_title = "index";  // over them, or "new"
  Pool pool;
  ValueBlock q, k, v;
  MatrixBlock scores, weights;
  Part matrix = Part::none;  // which matrix the beat shows: score, weight, or none yet
  LastRowBars bars;
  OutputRow output;
  std::shared_ptr<const Overview> overview;  // of all tokens; null if all are shown
  int sweep_to = -1;  // beat `score` moves the elbow over slots 0 … sweep_to on row decides_row; −1: no sweep
  std::string kept;        // "kept after this step: Q 0 · K 8 · V 8"
  std::string kept_title;  // "kept for the next step"
  int kept_rows = 0;       // of K, and as many of V
  bool show_kept = false;  // true from beat `keep` on; before that `kept` is drawn dim
  std::string price;       // what a cache that forgets rows changes in this step; one or two sentences
  std::string beat_note;   // what the beat does on this side: "nothing later to mask"
  std::vector<Badge> badges;
  /// "right also rebuilt rows 3–7 in the layers above", if the panes differ; otherwise empty.
  std::string difference;
  std::string title() const { return name + " · " + subtitle; }
};

}  // namespace lastrow::view
