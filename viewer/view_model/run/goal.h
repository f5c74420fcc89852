// What the user wants to see.
#pragma once

#include <string>
#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

constexpr int kFocusRows = 64;  // if nobody says how many rows are on show
constexpr int kMostFocusRows = 128;

struct Goal {
  std::string model, prompt, backend;
  int step = 0;
  std::vector<Poke> pokes{};
  SamplingOptions sampling{};
  /// Only steps that are too large to keep whole depend on it. −1: the last layer, the most focused head, the
  /// last rows.
  Focus focus{-1, -1, -1, kFocusRows};
  bool measure_machine = false;  // the snapshot needs the roofline of this machine
  bool operator==(const Goal&) const = default;
};

/// The focus inside the model and the text. A head of −1 stays.
Focus valid_focus(Focus focus, const ModelConfig& config, int n_tokens);

}  // namespace lastrow::view
