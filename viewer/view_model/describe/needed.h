// Which rows of a step something later in the step reads, without a cache. With a window not every row of a lower
// layer leads to the last row.
//
//   const NeededRows needed = needed_rows(side, layer);
//   needed.outputs[t]     the output of row t in this layer, and so its query
//   needed.keys[s]        row s of K and V in this layer
//
// Rule, from the last layer down: the last layer needs the output of the last row. A layer needs the keys that the
// queries of its needed outputs see. The layer below needs the outputs of both kinds of rows.
#pragma once

#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

struct NeededRows {
  std::vector<bool> outputs, keys;  // [n_tokens], by position
};

/// The side must have fed all tokens of the step. Cost: O(layers · tokens).
NeededRows needed_rows(const SideData& side, int layer);

}  // namespace lastrow::view
