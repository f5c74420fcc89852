// A decoder of two layers on an emulated device with one thread, for tests of a backend over several steps.
#pragma once

#include <memory>

#include "gpu/backend/device_backend.h"
#include "model/model.h"

namespace lastrow {

using emulated::DeviceBackend;

inline std::shared_ptr<const Model> small_model() {
  static const auto loaded =
      load_model("random:layers=2,q_heads=4,kv_heads=2,head_dim=8,ffn=32,vocab=40,context=300");
  return loaded;
}

}  // namespace lastrow
