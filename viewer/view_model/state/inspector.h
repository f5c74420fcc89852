// What the screen shows for the place under the mouse: the inspector, and the lines through both panes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "viewer/view_model/state/target.h"
#include "viewer/view_model/state/value_scale.h"
#include "viewer/view_model/state/worked_example.h"

namespace lastrow::view {

/// One bar: a product, with its factors.
struct Product {
  std::string label;  // "d 3", "2 fox"
  float a = 0, b = 0, product = 0;
  std::string text;  // the product in digits; "7.24 → 0.77" for a score that becomes a weight
};

/// The pinned place in detail. What does not apply to the place stays empty.
struct Pinned {
  Target target;
  std::string title;    // "k[3] · fox"
  std::string formula;  // one line with the numbers filled in
  std::vector<Product> products;
  std::string products_title;  // "q[7]·k[3], element by element"
  float total = 0;             // the sum of the products
  std::string total_text;      // "Σ 5.31 / √16 = 1.33"
  std::vector<std::pair<std::string, std::string>>
      provenance;                  // {"written by", "decode 2"}, {"bytes", "64"}, …
  std::vector<std::string> reads;  // "read by queries 3–7: 5×"
  std::vector<float> values;       // of the row, [head_dim]
  ValueScale scale;                // of `values`
};

struct Inspector {
  std::optional<Target> hovered;
  std::string hover_title;  // "k[3] · fox · layer 3 · K/V head 0"
  std::string hover_line;   // one line: value and formula with the numbers filled in
  std::optional<Pinned> pinned;
  WorkedExample example;  // shown while nothing is hovered or pinned
};

/// Lines through both panes at the hovered place; −1: no line.
struct Crosshair {
  int t = -1, s = -1;
  bool elbow = false;  // from k[s] right to the cell (s, s), then down column s to row elbow_to
  int elbow_to = -1;
  std::string elbow_text;  // "used by this and every later row"
};

}  // namespace lastrow::view
