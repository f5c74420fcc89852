// Scores and weights of one head, computed again from the q and K rows that a step kept.
//
//   HeadProbe probe(backend_name, config);
//   side.focus = probe.rows(side, spec, n_tokens, focus);     side.focus may be of another window or head
//
// The layer's q, k and lse must be held (LayerData::recorded). The same operands on the same backend give the
// bits that a probe in the step would have given. The weights of all rows are reduced chunk by chunk, so a
// matrix never exists as a whole. For another window of the same head only its rows are computed.
#pragma once

#include <memory>
#include <string>

#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

class HeadProbe {
 public:
  HeadProbe(const std::string& backend, const ModelConfig& config);
  std::shared_ptr<const FocusRows> rows(const SideData& side, const AttendSpec& spec, int n_tokens,
                                        const Focus& focus);

 private:
  std::unique_ptr<Backend> backend_;
  ModelConfig config_;
};

}  // namespace lastrow::view
