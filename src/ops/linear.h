// A linear layer: multiplies each row by a weight matrix, and adds a bias if the model has one.
//   out = x · weightᵀ (+ bias)
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// [n_rows, in_dim] · [out_dim, in_dim]ᵀ: 2·n_rows·in_dim·out_dim flop, and n_rows·out_dim for a bias.
constexpr OpCost linear(int64_t n_rows, int64_t in_dim, int64_t out_dim, bool has_bias,
                        int64_t weight_elem_bytes, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 2 * n_rows * in_dim * out_dim + (has_bias ? n_rows * out_dim : 0),
          .weight_bytes = n_rows > 0 ? (in_dim * out_dim + (has_bias ? out_dim : 0)) * weight_elem_bytes : 0,
          .activation_bytes = n_rows * (in_dim + out_dim) * activation_elem_bytes};
}

}  // namespace cost

struct Linear {
  static constexpr OpTraits kTraits{.name = "linear", .work = WorkKind::weights};

  Site site;
  ConstTensorView x;       // [n_rows, in]
  ConstTensorView weight;  // [out, in]
  ConstTensorView bias;    // [out], or empty
  TensorView out;          // [n_rows, out]   must not alias x

  void check() const;
  Operands operands() const { return {.reads = {x, weight, bias}, .writes = {out}}; }
  OpCost cost() const {
    return cost::linear(x.n_rows(), x.row_size(), weight.n_rows(), !bias.empty(), elem_bytes(weight.dtype()),
                        elem_bytes(x.dtype()));
  }
};

}  // namespace lastrow
