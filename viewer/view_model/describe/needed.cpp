#include "viewer/view_model/describe/needed.h"

#include <algorithm>

namespace lastrow::view {

namespace {

/// The keys that at least one of these queries sees.
std::vector<bool> seen_by(const std::vector<bool>& queries, MaskRule mask) {
  const auto n = static_cast<int>(queries.size());
  std::vector<int> begins(queries.size() + 1, 0);  // ranges that begin here, less those that end here
  for (int t = 0; t < n; ++t) {
    if (!queries[static_cast<size_t>(t)]) continue;
    const VisibleKeys keys = visible_keys(mask, n, n, t);
    for (const KeyRange range : {keys.range(0), keys.range(1)}) {
      ++begins[static_cast<size_t>(range.begin)];
      --begins[static_cast<size_t>(range.end)];
    }
  }
  std::vector<bool> seen(queries.size());
  int open = 0;
  for (size_t s = 0; s < seen.size(); ++s) seen[s] = (open += begins[s]) > 0;
  return seen;
}

}  // namespace

NeededRows needed_rows(const SideData& side, int layer) {
  NeededRows needed;
  const auto n_layers = static_cast<int>(side.layers.size());
  const auto first = side.layers.begin() + layer;
  if (std::none_of(first, side.layers.end(), [](const LayerData& l) { return l.mask.window > 0; })) {
    needed.keys.assign(static_cast<size_t>(side.q_len), true);
    needed.outputs.assign(static_cast<size_t>(side.q_len), layer < n_layers - 1);
    if (!needed.outputs.empty()) needed.outputs.back() = true;
    return needed;
  }
  needed.outputs.assign(static_cast<size_t>(side.q_len), false);
  if (!needed.outputs.empty()) needed.outputs.back() = true;
  for (int l = n_layers - 1;; --l) {
    needed.keys = seen_by(needed.outputs, side.layers[static_cast<size_t>(l)].mask);
    if (l <= layer) return needed;
    for (size_t t = 0; t < needed.outputs.size(); ++t)
      needed.outputs[t] = needed.outputs[t] || needed.keys[t];
  }
}

}  // namespace lastrow::view
