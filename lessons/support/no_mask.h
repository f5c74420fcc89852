// Attention as many textbooks write it, and as encoders have it: every query sees every key.
//
//   std::unique_ptr<Backend> blind = std::make_unique<NoMask>(lesson.backend());   owns what it misleads
//   DecodeSession session(model, std::move(blind), {});
//
// The model and the kernels are the healthy ones; only AttendSpec::mask is changed. Traces and counters that
// stand outside it still say "causal": count what probe shows instead.
#pragma once

#include <memory>
#include <utility>

#include "trace/forwarding.h"

namespace lastrow::lessons {

/// A base of its own, so that it is there before WatchingBackend takes its reference.
struct OwnedBackend {
  std::unique_ptr<Backend> owned;
};

class NoMask final : private OwnedBackend, public WatchingBackend {
 public:
  explicit NoMask(std::unique_ptr<Backend> backend)
      : OwnedBackend{std::move(backend)}, WatchingBackend(*owned) {}

  void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
              const AttendSpec& spec, TensorView out, TensorView lse) override {
    inner().attend(site, q, storage, batch, unmasked(spec), out, lse);
  }
  void probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
             const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection, TensorView scores,
             TensorView probs) override {
    inner().probe(site, q, storage, batch, unmasked(spec), lse, selection, scores, probs);
  }

 private:
  static AttendSpec unmasked(AttendSpec spec) {
    spec.mask.causal = false;
    return spec;
  }
};

}  // namespace lastrow::lessons
