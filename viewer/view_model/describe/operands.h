// The rows and numbers that a place in a pane stands for. The inspector's line and the pinned place use them.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// Null where the side has no such row.
struct Operands {
  const float *q = nullptr, *k = nullptr, *v = nullptr, *scores = nullptr, *probs = nullptr, *out = nullptr;
  float lse = 0;
};

/// For query row t and key row s of the layer and head that are shown; either may be −1: none.
Operands operands(const Snapshot& snapshot, const Selection& at, Mode side, int t, int s);

}  // namespace lastrow::view
