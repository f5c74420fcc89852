// The rows and numbers behind a place in a pane; what the inspector's line and its pinned content share.
#pragma once

#include <string>

#include "viewer/view_model/pane_builder.h"

namespace lastrow::view {

int kv_head_of(const Scene& scene, const Selection& at);
/// The label of the token at a position of the step.
std::string token_at(const Scene& scene, int position);
/// "q", "k", "v", "score", "weight", "output", "token".
const char* letter(Part part);

/// The numbers that a target stands for; null where the side has none.
struct Operands {
  const float *q = nullptr, *k = nullptr, *v = nullptr, *scores = nullptr, *probs = nullptr, *out = nullptr;
  float lse = 0;
};

/// For query row t and key row s (either may be −1) of the shown layer and head.
Operands operands(const Scene& scene, const Selection& at, Side side, int t, int s);

}  // namespace lastrow::view
