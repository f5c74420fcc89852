// Attention as many textbooks write it, and as encoders have it: every query sees every key.
//
//   DecodeSession session(model, without_mask(lesson.backend()), {});
//
// The model and the kernels stay correct; only AttendSpec::mask changes. A trace or counter outside this
// decorator still sees "causal", so count what probe shows instead.
#pragma once

#include <memory>
#include <utility>

#include "trace/owning.h"

namespace lastrow::lessons {

class NoMask final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  void run(const Op& op) override {
    Op unmasked = op;
    if (auto* attend = std::get_if<Attend>(&unmasked)) attend->spec.mask.causal = false;
    if (auto* probe = std::get_if<Probe>(&unmasked)) probe->spec.mask.causal = false;
    inner().run(unmasked);
  }
};

/// The same backend without the causal mask; a window stays.
inline std::unique_ptr<Backend> without_mask(std::unique_ptr<Backend> backend) {
  return std::make_unique<Owning<NoMask>>(std::move(backend));
}

}  // namespace lastrow::lessons
