#include "cache/kv_range.h"

#include <cmath>
#include <limits>

#include "cache/kv_codec.h"

namespace lastrow {

double largest_of(DType stored) {
  switch (stored) {
    case DType::f16:
      return 65504;
    case DType::bf16:
      return 0x1.FEp127;
    case DType::fp8_e4m3:
      return 448;
    case DType::i4x2:
      return 7.0 * 65504;
    case DType::fp4x2:
      return 6.0 * 65504;
    default:
      return std::numeric_limits<float>::max();
  }
}

RangeCount out_of_range(ConstTensorView rows, DType stored) {
  RangeCount count;
  if (stored == DType::i8 || stored == DType::i8_channel || stored == DType::f32) return count;
  // A number less than half a unit in the last place above the largest one is rounded down to it.
  const bool saturates = stored == DType::fp8_e4m3 || has_groups(stored);
  const double limit = stored == DType::f16     ? 65520
                       : stored == DType::bf16  ? 0x1.FFp127
                       : stored == DType::i4x2  ? 7.5 * 65504
                       : stored == DType::fp4x2 ? 7.0 * 65504
                                                : 464;
  const float* x = rows.data<float>();
  for (int64_t i = 0; i < rows.size(); ++i) {
    const double magnitude = std::abs(double{x[i]});
    const bool fits = saturates ? magnitude <= limit : magnitude < limit;
    if (fits || !std::isfinite(x[i])) continue;
    if (count.n++ == 0) count.first = i;
  }
  return count;
}

}  // namespace lastrow
