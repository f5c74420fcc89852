// How two tensors of two runs differ: to the bit, and by how much.
//
//   same_bits(a, b)              equal shapes, types and bits; also of f32 numbers in a row
//   equal_rows(a, b)             rows of the first dimension that are bit-identical, of the rows both have
//   largest_difference(a, b)     max |a − b| over all elements
//   moved(a, b)                  the same as a share of max |a|;  share(0.054) == "5.4 %"
//
// Host tensors, f32 or f64. A tensor that is not there, or has another shape, or holds NaN, differs by
// infinity: a lesson that runs on a faulty backend then objects, and goes on.
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

/// The rows that both have; none if there is nothing to compare.
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

/// Of the rows that both have; infinity if there are none.
inline double largest_difference_of_rows(ConstTensorView a, ConstTensorView b) {
  const int64_t n = common_rows(a, b);
  return n == 0 ? std::numeric_limits<double>::infinity() : largest_difference(a.rows(0, n), b.rows(0, n));
}

inline double largest_magnitude(ConstTensorView x) {
  double most = 0;
  for (const double value : numbers(x)) most = std::max(most, std::abs(value));
  return most;
}

/// Relative to the largest element (`moved`). Sums in another order move f32 numbers by some 1e-6 of it; a
/// row that has read other tokens moves by percents. Rounding is what lies below, a change what lies above.
inline constexpr double kRounding = 1e-4;

/// How far the rows that both have moved, as a share of the largest element.
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
