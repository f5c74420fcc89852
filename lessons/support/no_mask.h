// Attention as many textbooks write it, and as encoders have it: every query sees every key.
//
//   DecodeSession session(model, without_mask(lesson.backend()), {});
//
// The model and the kernels are the healthy ones; only AttendSpec::mask is changed. Traces and counters that
// stand outside it still say "causal": count what probe shows instead.
#pragma once

#include <memory>
#include <utility>

#include "lessons/support/owning.h"

namespace lastrow::lessons {

class NoMask final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
              const AttendSpec& spec, TensorView out, TensorView lse) override {
    inner().attend(site, q, storage, batch, unmasked(spec), out, lse);
  }
  void probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
             const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection, TensorView scores,
             TensorView probs, TensorView lse_distance) override {
    inner().probe(site, q, storage, batch, unmasked(spec), lse, selection, scores, probs, lse_distance);
  }

 private:
  static AttendSpec unmasked(AttendSpec spec) {
    spec.mask.causal = false;
    return spec;
  }
};

/// The same backend without the causal mask; a window stays.
inline std::unique_ptr<Backend> without_mask(std::unique_ptr<Backend> backend) {
  return std::make_unique<Owning<NoMask>>(std::move(backend));
}

}  // namespace lastrow::lessons
