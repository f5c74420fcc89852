// RMSNorm: scales each row to a root mean square of 1, then each element by a weight.
//   out[t,:] = weight ⊙ x[t,:] / √(mean(x[t,:]²) + eps)
// Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// 4·dim + 4 flop for each row. Sum of squares: 2·dim. Mean, eps, root, reciprocal: 4. Scale, weight: 2·dim.
constexpr OpCost rms_norm(int64_t n_rows, int64_t dim, int64_t weight_elem_bytes,
                          int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * (4 * dim + 4),
          .weight_bytes = n_rows > 0 ? dim * weight_elem_bytes : 0,
          .activation_bytes = 2 * n_rows * dim * activation_elem_bytes};
}

}  // namespace cost

struct RmsNorm {
  static constexpr OpTraits kTraits{.name = "rms_norm"};

  Site site;
  ConstTensorView x;       // [n_rows, dim]
  ConstTensorView weight;  // [dim]
  float eps;
  TensorView out;  // [n_rows, dim]   must not alias x

  void check() const {
    require_rank("rms_norm input", x, 2);
    require_shape("rms_norm weight", weight.shape(), {x.dim(1)});
    require_shape("rms_norm output", out.shape(), x.shape());
  }
  Operands operands() const { return {.reads = {x, weight}, .writes = {out}}; }
  OpCost cost() const {
    return cost::rms_norm(x.n_rows(), x.row_size(), elem_bytes(weight.dtype()), elem_bytes(x.dtype()));
  }
};

}  // namespace lastrow
