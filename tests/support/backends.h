// The backends that the same tests run on: those of the CPU, the emulated GPU with all its checks,
// and a real GPU if there is one.
#pragma once

#include <memory>
#include <vector>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "gpu/emulated_backend.h"
#include "registry/registry.h"

namespace lastrow::testing {

/// The backends whose results do not depend on the rest of the batch,
/// on grouping or on the stored type, to the bit.
inline std::vector<std::unique_ptr<Backend>> cpu_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(std::make_unique<NaiveBackend<double>>());
  all.push_back(std::make_unique<NaiveBackend<float>>());
  all.push_back(std::make_unique<EigenBackend>(2));
  return all;
}

inline std::vector<std::unique_ptr<Backend>> all_backends() {
  std::vector<std::unique_ptr<Backend>> all = cpu_backends();
  gpu::DeviceOptions watched;
  watched.check = true;
  watched.limit_seconds = 0;
  all.push_back(make_emulated_backend(watched, 2));
  for (const BackendEntry& known : list_backends())
    if (known.name == "cuda" && known.usable) all.push_back(make_backend("cuda"));
  return all;
}

}  // namespace lastrow::testing
