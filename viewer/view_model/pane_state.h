// What one pane shows: the attention of one layer and one head on one side, at one beat.
//
// A row is a token in every column: score row t lines up with q[t], score column s with k[s]. Rows that are
// absent are in the lists too, so all lists of a pane have n_tokens entries and row i is position i.
//   values    [n_tokens, head_dim]   contiguous; 0 in absent rows
//   matrices  [n_tokens, n_tokens]   row t, column s; −inf (scores) and 0 (weights) where masked
// Every row and cell says its state when the beat begins (`was`) and when it is done (`is`): at rest draw
// `is`; while the beat runs mix the two by the frame's progress. A screenshot shows `is`. Fill means value,
// only value; state is gutter and overlay.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace lastrow::view {

enum class Side : uint8_t { cached, recompute };  // left pane, right pane
enum class Part : uint8_t { none, q, k, v, score, weight, output, token };

/// The six states of the legend, and "the beat has not come to it yet" (draw nothing at all).
enum class State : uint8_t {
  not_yet,
  computed_now,
  again_needed,  // computed again, and something needs it
  again_unused,  // computed again for nothing; drawn at 40 %
  from_cache,
  masked,  // cells only
  absent,  // neither computed nor stored; may be hovered and poked
};

struct Row {
  int position = 0;
  State was = State::not_yet, is = State::not_yet;
  float opacity_was = 1, opacity = 1;  // 1, or less: kept but not read yet, faded by keep/drop; includes the
                                       // 40 % of again_unused
  bool stored_was = false,
       stored = false;      // K and V: the row sits in the cache (left) when the beat begins, is done
  bool poked = false;       // black-and-white dashes and a pencil
  bool asked = false;       // the tour asks the user to poke this row
  bool not_finite = false;  // holds a NaN or ∞: black cell, white ×
  std::string mark;         // against the last step: "same bits", "≤ 2 ULP", "changed"; or empty
};

/// Q, K or V of the head (for K and V: of its K/V head).
struct ValueBlock {
  Part part = Part::none;
  std::string title;    // "Q · after RoPE", "K · after RoPE", "V"
  std::string sharing;  // "head 5", "K/V head 1, shared by query heads 4–7"
  int head_dim = 0;
  int exponent = 0;  // colours span ±2^exponent: same in both panes and all steps; beyond it they saturate
  std::vector<Row> rows;      // [n_tokens]
  std::vector<float> values;  // [n_tokens, head_dim]
  float at(int row, int d) const { return values[static_cast<size_t>(row * head_dim + d)]; }
};

/// Scaled scores, or softmax weights.
struct MatrixBlock {
  Part part = Part::none;
  std::string title;              // "scores q·k/√16", "weights"
  int n = 0;                      // n_tokens
  int exponent = 0;               // scores: ±2^exponent; weights: 0 … 1
  std::vector<Row> rows;          // [n]; state of the whole row t (absent on the left for past t)
  std::vector<float> values;      // [n, n]
  std::vector<State> was, cells;  // [n, n]; not_yet, masked, absent, or the row's state
  float at(int t, int s) const { return values[static_cast<size_t>(t * n + s)]; }
  State cell(int t, int s) const { return cells[static_cast<size_t>(t * n + s)]; }
};

/// The bars under the matrix: the last row again, where heights can be compared.
struct LastRowBars {
  std::vector<float> scores, weights;  // [n_tokens], of the row that decides
  float largest_score = 0, smallest_score = 0;
  float weight_sum = 0;  // Σ; 1 but for rounding
  bool show_scores = false, show_weights = false;
  bool morph = false;  // this beat turns score bars into weight bars
};

/// The attention output of the row that decides, [head_dim]; drawn under V.
struct OutputRow {
  Row row;
  std::vector<float> values;
  int exponent = 0;
  std::string title;          // "output of head 0, row 7"
  std::vector<float> v_tint;  // [n_tokens]: weight of each V row while beat `sum` runs, else empty
};

/// What came of a poke, said where it was made.
struct Badge {
  Part part = Part::none;  // the row it points at
  int position = 0;
  std::string text;        // one to three short sentences with numbers from the run
  bool no_effect = false;  // everything below is bit-identical
};

struct PaneState {
  Side side = Side::cached;
  std::string title;     // "WITH CACHE · layer 3 (last) · head 0 · 1 query meets 8 keys"
  std::string name;      // "WITH CACHE"
  std::string subtitle;  // "layer 3 (last) · head 0 · 1 query meets 8 keys"
  int n_tokens = 0;
  int first_new_row = 0;  // rows from here on were fed in this step (all of them in prefill)
  int decides_row = 0;    // framed; labelled decides_text
  std::string decides_text = "decides";
  std::vector<std::string> labels;  // [n_tokens] token texts; the position stands beside them
  ValueBlock q, k, v;
  MatrixBlock scores, weights;
  Part matrix = Part::none;  // the one that the beat shows: score, weight, or none yet
  LastRowBars bars;
  OutputRow output;
  int sweep_to = -1;       // beat `score` sweeps the elbow s = 0 … sweep_to on row decides_row; else −1
  std::string kept;        // "kept after this step: Q 0 · K 8 · V 8"
  bool show_kept = false;  // from beat `keep` on; before it may be drawn dim
  std::string beat_note;   // this side's words for the beat: "nothing later to mask"
  std::vector<Badge> badges;
  std::string difference;  // "right also rebuilt rows 3–7 above from it", where the panes differ; else empty
};

}  // namespace lastrow::view
