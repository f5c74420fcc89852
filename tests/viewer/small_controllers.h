// Small models for the tests of the controller, and options that start one of them.
#pragma once

#include "viewer/view_model/run/controller.h"

namespace lastrow::view {

inline constexpr const char* kSmall =
    "random:layers=3,q_heads=4,kv_heads=2,head_dim=8,vocab=64,context=12,seed=3";

/// Two layers, at step 2.
inline ControllerOptions small() {
  ControllerOptions o;
  o.model = "random:layers=2,q_heads=2,kv_heads=2,head_dim=8,vocab=64,context=12,seed=3";
  o.prompt = "a b c";
  o.step = 2;
  return o;
}

}  // namespace lastrow::view
