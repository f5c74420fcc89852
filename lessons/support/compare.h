// Compares two tensors, or two rows of floats: are they bit-identical, and if not, how far apart are they?
//
//   same_bits(a, b)            equal shapes, types and bits
//   equal_rows(a, b)           how many rows of the first dimension are bit-identical
//   largest_difference(a, b)   max |a − b| over all elements
//   moved(a, b)                max |a − b| / max |a|
//   share(0.054)               "5.4 %"
//
// Tensors are in host memory, f32 or f64. If one is missing, has another shape or holds NaN, the difference
// is infinity. So a lesson on a faulty backend reports the difference and goes on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace lastrow::lessons {

inline std::vector<double> numbers(ConstTensorView x) {
  std::vector<double> all(x.empty() ? 0 : static_cast<size_t>(x.size()));
  if (!all.empty()) convert(x, TensorView(all.data(), x.shape()));
  return all;
}

inline bool comparable(ConstTensorView a, ConstTensorView b) {
  return !a.empty() && !b.empty() && a.shape() == b.shape() && a.dtype() == b.dtype();
}

inline bool same_bits(ConstTensorView a, ConstTensorView b) {
  return comparable(a, b) && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.size_bytes())) == 0;
}

inline bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

/// How many rows both have; 0 if there is nothing to compare.
inline int64_t common_rows(ConstTensorView a, ConstTensorView b) {
  if (a.empty() || b.empty() || a.row_size() != b.row_size()) return 0;
  return std::min(a.n_rows(), b.n_rows());
}

inline int64_t equal_rows(ConstTensorView a, ConstTensorView b) {
  int64_t n = 0;
  for (int64_t row = 0; row < common_rows(a, b); ++row) n += same_bits(a.rows(row, 1), b.rows(row, 1));
  return n;
}

inline double largest_difference(ConstTensorView a, ConstTensorView b) {
  if (!comparable(a, b)) return std::numeric_limits<double>::infinity();
  const std::vector<double> x = numbers(a), y = numbers(b);
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = x[i] == y[i] ? 0 : std::abs(x[i] - y[i]);
    worst = std::max(worst, std::isnan(error) ? std::numeric_limits<double>::infinity() : error);
  }
  return worst;
}

/// Over the rows that both have; infinity if there are none.
inline double largest_difference_of_rows(ConstTensorView a, ConstTensorView b) {
  const int64_t n = common_rows(a, b);
  return n == 0 ? std::numeric_limits<double>::infinity() : largest_difference(a.rows(0, n), b.rows(0, n));
}

inline double largest_magnitude(ConstTensorView x) {
  double most = 0;
  for (const double value : numbers(x)) most = std::max(most, std::abs(value));
  return most;
}

/// A limit for moved(): below it a difference is rounding, above it the numbers really changed. In f32
/// another order of summation moves a row by about 1e-6; a row that has read other tokens moves by percents.
inline constexpr double kRounding = 1e-4;

/// How far the common rows moved, as a share of the largest element.
inline double moved(ConstTensorView before, ConstTensorView after) {
  const double most = largest_magnitude(before);
  return largest_difference_of_rows(before, after) / (most > 0 ? most : 1);
}

inline double moved(std::span<const float> before, std::span<const float> after) {
  return moved(ConstTensorView(before.data(), {static_cast<int64_t>(before.size())}),
               ConstTensorView(after.data(), {static_cast<int64_t>(after.size())}));
}

/// "0", "5.4 %", or "3.1e-07" below a thousandth.
inline std::string share(double x) {
  if (x == 0) return "0";
  return x < 1e-3 ? fmt::format("{:.1e}", x) : fmt::format("{:.1f} %", 100 * x);
}

}  // namespace lastrow::lessons
