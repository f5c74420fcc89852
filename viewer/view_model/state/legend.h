// What the colours, patterns and signs mean.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

struct LegendEntry {
  State state;
  std::string label;
  std::string tooltip;
};

struct Legend {
  std::vector<LegendEntry> states;
  std::string value_scale;  // "Q ±4 · K ±8 · V ±2 · scores ±8 · out ±4"; weights go from 0 to 1
  std::string scale_tooltip;
  std::string poked = "poked";
  /// Signs beside rows on the screen, and what they say about the row one step ago: {"=", "same as last
  /// step"}, {"≈", "same up to rounding"}.
  std::vector<std::pair<std::string, std::string>> marks;
};

}  // namespace lastrow::view
