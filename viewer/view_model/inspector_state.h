// What answers the mouse: the inspector, the lines through both panes, the menu of pokes.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "viewer/view_model/commands.h"

namespace lastrow::view {

struct Product {      // one bar
  std::string label;  // "d 3", "s 2 fox"
  float a = 0, b = 0, product = 0;
};
struct Provenance {
  std::vector<std::pair<std::string, std::string>> lines;  // {"written by", "decode 2"}, {"bytes", "64"}, …
};
struct Pinned {
  Target target;
  std::string title;              // "k[3] · fox"
  std::string formula;            // with the numbers in
  std::vector<Product> products;  // empty where nothing was multiplied
  std::string products_title;     // "q[7]·k[3], element by element"
  float total = 0;                // what the products add up to
  std::string total_text;         // "Σ 5.31 / √16 = 1.33"
  Provenance provenance;
  std::vector<std::string> reads;  // "read by queries 3–7: 5×"
  std::vector<float> values;       // of the row, [head_dim]; empty for a cell
  int exponent = 0;
};
struct Inspector {
  std::optional<Target> hovered;
  std::string hover_title;  // "k[3] · fox · layer 3 · K/V head 0"
  std::string hover_line;   // one line of value and formula with the numbers in
  std::optional<Pinned> pinned;
  std::string empty_hint = "Point at any cell; click to pin it.";
};

/// Lines through both panes at the hovered place; −1: none.
struct Crosshair {
  int t = -1, s = -1;
  bool elbow = false;  // from k[s] right to the cell (s, s), then down column s to row elbow_to
  int elbow_to = -1;
  std::string elbow_text;  // "used by this and every later row"
};

struct MenuEntry {
  std::string label;  // "Scramble, only in this step"
  std::string tooltip;
  bool enabled = true;
  std::string reason;  // why not, where not
  Command command;
};
struct PokeMenu {
  Target target;
  std::string title;  // "k[3] · fox · layer 3 · K/V head 0 (query heads 0–3)"
  std::vector<MenuEntry> entries;
};

}  // namespace lastrow::view
