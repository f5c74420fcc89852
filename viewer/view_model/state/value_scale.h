// From a value to a colour. Small values must still be seen beside large ones, so colours grow with asinh:
// almost linearly up to `soft`, with the logarithm beyond it.
//   at(x) = asinh(x / soft) / asinh(largest / soft), from −1 to 1
#pragma once

#include <algorithm>
#include <cmath>

namespace lastrow::view {

struct ValueScale {
  float largest = 1;  // the magnitude with the full colour
  float soft = 1;

  float at(float x) const { return std::clamp(std::asinh(x / soft) * factor(), -1.0f, 1.0f); }
  float factor() const { return 1 / std::asinh(largest / soft); }
  /// The value with this colour.
  float value_at(float color) const { return soft * std::sinh(color / factor()); }
  bool operator==(const ValueScale&) const = default;
};

/// Weights go from 0 to 1 in every step, layer and model.
constexpr ValueScale kWeightScale{1, 0.15f};

}  // namespace lastrow::view
