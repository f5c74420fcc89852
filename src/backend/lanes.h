// The unit of the loops that Eigen's products do not cover: floats that are added side by side.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace lastrow {

constexpr int64_t kLanes = 16;
using Lanes = Eigen::Array<float, kLanes, 1>;
using ConstLanes = Eigen::Map<const Lanes>;

}  // namespace lastrow
