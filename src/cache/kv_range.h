// Which elements a stored type of K and V cannot hold.
//
//   RangeCount c = out_of_range(rows, DType::f16);      rows f32 [n_tokens, n_kv_heads, head_dim], on the host
//   if (c.n > 0) … c.first, an index into rows …
#pragma once

#include "core/tensor.h"

namespace lastrow {

struct RangeCount {
  int64_t n = 0;  // finite elements that are stored as infinity or NaN, or cut to the largest number (fp8)
  int64_t first = -1;  // of them, as an index into the rows
};

/// Of int8, whose rows have scales of their own, nothing is out of range.
RangeCount out_of_range(ConstTensorView rows, DType stored);
/// The largest number of the type: 65504 of f16, 448 of fp8.
double largest_of(DType stored);

}  // namespace lastrow
