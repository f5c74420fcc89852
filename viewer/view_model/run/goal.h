// What the user wants to see. The worker runs it, and the outcome says which step was reached.
#pragma once

#include <string>
#include <vector>

#include "cache/make_cache.h"
#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

constexpr int kFocusRows = 64;       // used until the number of rows that are shown is known
constexpr int kMostFocusRows = 128;  // valid_focus() never gives more

struct Goal {
  std::string model, prompt, backend;
  int step = 0;
  std::vector<Poke> pokes{};
  SamplingOptions sampling{};
  /// Only steps that are too large to keep whole depend on it.
  /// −1: the last layer, the most focused head, the last rows.
  Focus focus{-1, -1, -1, kFocusRows};
  bool measure_machine = false;  // the snapshot needs the roofline of this machine
  CacheOptions cache{};          // of the side with the cache
  bool operator==(const Goal&) const = default;
};

/// The nearest focus that lies inside the model and the text. A head of −1 stays −1.
Focus valid_focus(Focus focus, const ModelConfig& config, int n_tokens);

}  // namespace lastrow::view
