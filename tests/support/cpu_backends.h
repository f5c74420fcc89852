// The CPU backends that the same tests are run on.
#pragma once

#include <memory>
#include <vector>

#include "backend/eigen.h"
#include "backend/naive.h"

namespace lastrow::testing {

inline std::vector<std::unique_ptr<Backend>> all_backends() {
  std::vector<std::unique_ptr<Backend>> all;
  all.push_back(std::make_unique<NaiveBackend<double>>());
  all.push_back(std::make_unique<NaiveBackend<float>>());
  all.push_back(std::make_unique<EigenBackend>(2));
  return all;
}

}  // namespace lastrow::testing
