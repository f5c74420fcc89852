// The largest error that an implementation may have. It is measured, not chosen.
//
//   const double bound = tolerance(compute, reference);     reference: the output of naive<double>
//   difference(output, reference).largest <= bound          holds if the implementation is correct
//
// The rule: naive<double> computes the reference from the same stored inputs. The largest error may be
//   2 × the largest error of naive<float> over 16 seeded orders of summation
//   + one epsilon of the output type × max |reference|
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "backend/naive.h"

namespace lastrow::judge {

struct Difference {
  double largest = 0;
  size_t index = 0;
  double actual = 0, expected = 0;
  std::string to_string() const {
    return fmt::format("largest error {:.3g} at {}: {} instead of {}", largest, index, actual, expected);
  }
};

/// Two equal infinities differ by 0. If a value is NaN or the sizes differ, the difference is infinite.
inline Difference difference(const std::vector<double>& actual, const std::vector<double>& expected) {
  Difference worst;
  if (actual.size() != expected.size())
    return {std::numeric_limits<double>::infinity(), std::min(actual.size(), expected.size()), NAN, NAN};
  for (size_t i = 0; i < expected.size(); ++i) {
    double error = actual[i] == expected[i] ? 0 : std::abs(actual[i] - expected[i]);
    if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
    if (error > worst.largest) worst = {error, i, actual[i], expected[i]};
  }
  return worst;
}

inline double max_abs_finite(const std::vector<double>& x) {
  double largest = 0;
  for (const double v : x)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  return largest;
}

constexpr uint64_t kYardstickOrders = 16;

/// `yardstick` is the largest error of naive<float> over all orders.
inline double tolerance_of(double yardstick, const std::vector<double>& reference) {
  return 2 * yardstick + double{std::numeric_limits<float>::epsilon()} * max_abs_finite(reference);
}

/// `compute(backend)` returns one output of the code under test, as doubles.
template <typename Compute>
double tolerance(const Compute& compute, const std::vector<double>& reference) {
  double yardstick = 0;
  for (uint64_t order = 1; order <= kYardstickOrders; ++order) {
    NaiveBackend<float> reordered(order);
    yardstick = std::max(yardstick, difference(compute(reordered), reference).largest);
  }
  return tolerance_of(yardstick, reference);
}

}  // namespace lastrow::judge
