// Finds the elements of K or V that a stored type cannot hold.
//
//   RangeCount c = out_of_range(rows, DType::f16);     rows f32 [n_tokens, n_kv_heads, head_dim], on the host
//   if (c.n > 0) … c.first, an index into rows …
#pragma once

#include "core/tensor.h"

namespace lastrow {

struct RangeCount {
  int64_t n = 0;       // finite elements that become infinity or NaN, or (fp8, int4, fp4) the largest number
  int64_t first = -1;  // index of the first of them in the rows; −1: there is none
};

/// For int8 and int8-channel the count is 0, because each scale fits its elements.
RangeCount out_of_range(ConstTensorView rows, DType stored);
/// The largest finite number of the type: 65504 for f16, 448 for fp8; with its largest scale for int4 and fp4.
double largest_of(DType stored);

}  // namespace lastrow
