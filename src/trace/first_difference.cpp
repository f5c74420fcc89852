#include "trace/first_difference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

namespace lastrow {
namespace {

/// The row of the first element whose bits differ, and the largest difference.
template <typename T>
std::optional<std::pair<int64_t, double>> difference_as(const Tensor& a, const Tensor& b) {
  std::optional<std::pair<int64_t, double>> found;
  for (int64_t i = 0; i < a.size(); ++i) {
    const T x = a.data<T>()[i], y = b.data<T>()[i];
    if (std::memcmp(&x, &y, sizeof x) == 0) continue;
    if (!found) found = {i / a.shape().row_size(), 0};
    found->second = std::max(found->second, std::abs(static_cast<double>(x) - static_cast<double>(y)));
  }
  return found;
}

/// The same for any type. Tensors of different shape or type differ from row 0 on.
std::optional<std::pair<int64_t, double>> difference(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype())
    return std::pair{int64_t{0}, std::numeric_limits<double>::infinity()};
  switch (a.dtype()) {
    case DType::f32:
      return difference_as<float>(a, b);
    case DType::f64:
      return difference_as<double>(a, b);
    case DType::i32:
      return difference_as<int32_t>(a, b);
    default:
      LASTROW_CHECK(false, "a recorded tensor is {}", name_of(a.dtype()));
  }
}

}  // namespace

std::string FirstDifference::place() const {
  return layer < 0 ? fmt::format("step {}, {}", step, op)
                   : fmt::format("step {}, layer {}, {}", step, layer, op);
}

std::optional<FirstDifference> first_difference(const Recorder& healthy, const Recorder& faulty) {
  for (const int32_t step : healthy.steps())
    for (const Recorder::Entry& entry : healthy.entries(step)) {
      if (entry.name.starts_with("attend.")) continue;  // operands, not outputs
      const Tensor* other = faulty.find(step, entry.layer, entry.name, entry.sequence);
      if (!other) return FirstDifference{step, entry.layer, entry.name, 0, INFINITY};
      if (const auto d = difference(entry.tensor, *other))
        return FirstDifference{step, entry.layer, entry.name, d->first, d->second};
    }
  return {};
}

}  // namespace lastrow
