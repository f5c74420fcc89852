// The whole text at a glance, when the window of tokens shows only a part of it: all weights, and all rows of
// K and V, reduced to few cells.
// Bin b stands for the tokens [b·n/bins, (b+1)·n/bins).
//   weights  [bins, bins]      the weight that the average computed row of a row bin puts on all keys of a
//                              column bin; masked cells never count
//   k, v     [bins, head_dim]  the element with the largest magnitude
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

struct Overview {
  int n_tokens = 0, bins = 0, head_dim = 0;
  std::vector<float> weights, k, v;
  std::vector<State> rows;   // [bins]  of the rows of Q and of the weights; the last row has its own state
  std::vector<bool> stored;  // [bins]  whether the side has any row of K and V of the bin
  std::vector<bool> unseen;  // [bins, bins]  no query of the row bin sees any key of the column bin
  std::string caption;       // "All 254 tokens"
  std::string tooltip;       // names the reduction
  int first_token(int bin) const { return static_cast<int>(int64_t{bin} * n_tokens / bins); }
};

}  // namespace lastrow::view
