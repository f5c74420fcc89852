// The backends that the same tests are run on, on any machine: those of the CPU, and the emulated GPU under
// all its checks.
#pragma once

#include <memory>
#include <vector>

#include "backend/eigen.h"
#include "backend/naive.h"
#include "gpu/emulated_backend.h"

namespace lastrow::testing {

/// Those whose bits also do not depend on what else is in the batch, on grouping, or on the stored type.
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
  watched.n_threads = 2;
  watched.check = true;
  all.push_back(make_emulated_backend(watched));
  return all;
}

}  // namespace lastrow::testing
