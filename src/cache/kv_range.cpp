#include "cache/kv_range.h"

#include <cmath>
#include <limits>

namespace lastrow {

double largest_of(DType stored) {
  switch (stored) {
    case DType::f16:
      return 65504;
    case DType::bf16:
      return 0x1.FEp127;
    case DType::fp8_e4m3:
      return 448;
    default:
      return std::numeric_limits<float>::max();
  }
}

RangeCount out_of_range(ConstTensorView rows, DType stored) {
  RangeCount count;
  if (stored == DType::i8 || stored == DType::f32) return count;
  // A number less than half a unit in the last place above the largest one is rounded down to it.
  const double limit = stored == DType::f16 ? 65520 : stored == DType::bf16 ? 0x1.FFp127 : 464;
  const float* x = rows.data<float>();
  for (int64_t i = 0; i < rows.size(); ++i) {
    const double magnitude = std::abs(double{x[i]});
    const bool fits = stored == DType::fp8_e4m3 ? magnitude <= limit : magnitude < limit;
    if (fits || !std::isfinite(x[i])) continue;
    if (count.n++ == 0) count.first = i;
  }
  return count;
}

}  // namespace lastrow
