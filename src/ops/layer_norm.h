// LayerNorm: shifts each row to mean 0 and scales it to variance 1, then applies a weight and a bias.
//   out[t,:] = weight ⊙ (x[t,:] − mean(x[t,:])) / √(variance(x[t,:]) + eps) + bias
// The variance divides the sum of the squared differences by dim, not by dim − 1.
// Source: Ba, Kiros and Hinton 2016, "Layer Normalization", eq. 4.
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// 7·dim + 5 flop for each row. Sum: dim. Subtract the mean: dim. Sum of squares: 2·dim. Scale, weight and
/// bias: 3·dim. Two means, eps, square root and reciprocal: 5.
constexpr OpCost layer_norm(int64_t n_rows, int64_t dim, int64_t weight_elem_bytes,
                            int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * (7 * dim + 5),
          .weight_bytes = n_rows > 0 ? 2 * dim * weight_elem_bytes : 0,
          .activation_bytes = 2 * n_rows * dim * activation_elem_bytes};
}

}  // namespace cost

struct LayerNorm {
  static constexpr OpTraits kTraits{.name = "layer_norm"};

  Site site;
  ConstTensorView x;             // [n_rows, dim]
  ConstTensorView weight, bias;  // [dim]
  float eps;
  TensorView out;  // [n_rows, dim]   must not alias x

  void check() const {
    require_rank("layer_norm input", x, 2);
    require_shape("layer_norm weight", weight.shape(), {x.dim(1)});
    require_shape("layer_norm bias", bias.shape(), {x.dim(1)});
    require_shape("layer_norm output", out.shape(), x.shape());
  }
  Operands operands() const { return {.reads = {x, weight, bias}, .writes = {out}}; }
  OpCost cost() const {
    return cost::layer_norm(x.n_rows(), x.row_size(), elem_bytes(weight.dtype()), elem_bytes(x.dtype()));
  }
};

}  // namespace lastrow
