// Makes one step of several passes, each of which feeds one token. Without a cache, a step with new positions runs so
// (step_data.h).
//
//   joined.clear();                              before the first pass
//   joined.add(layer, data, keys, position);     for each pass and layer, in order; data and keys of the pass
//   std::vector<LayerData> layers = joined.take_layers(n_layers);
//
// A row of K and of V is that of the last pass that read it, because each pass rotates K anew.
#pragma once

#include <vector>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

class JoinedPasses {
 public:
  void clear() { layers_.clear(); }
  /// data: q, out, lse and the matrices of one query, k and v by index.
  void add(int layer, const LayerData& data, const std::vector<PlacedRow>& keys, int position);
  std::vector<LayerData> take_layers(int n_layers);

 private:
  struct Layer {
    MaskRule mask;
    bool recorded = false;
    std::vector<float> q, out, lse;     // by position, as in LayerData
    std::vector<float> k, v, stored_k;  // by position
    std::vector<Floats> scores, probs;  // of each pass: [n_q_heads, position + 1]
  };
  std::vector<Layer> layers_;
};

}  // namespace lastrow::view
