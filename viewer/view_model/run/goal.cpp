#include "viewer/view_model/run/goal.h"

#include <algorithm>

namespace lastrow::view {

Focus valid_focus(Focus focus, const ModelConfig& config, int n_tokens) {
  focus.layer = focus.layer < 0 ? config.n_layers - 1 : std::min(focus.layer, config.n_layers - 1);
  focus.head = std::clamp(focus.head, -1, config.n_q_heads - 1);
  focus.n_rows = std::clamp(focus.n_rows, 0, std::min(n_tokens, kMostFocusRows));
  const int last = n_tokens - focus.n_rows;
  focus.first_row = focus.first_row < 0 ? last : std::min(focus.first_row, last);
  return focus;
}

}  // namespace lastrow::view
