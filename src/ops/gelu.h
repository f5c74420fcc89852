// GELU, in the tanh approximation that GPT-2 was trained with.
//   out = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))
// Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", section 2.
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// ½x(1 + tanh(c(x + a·x³))): 8 multiplications and additions and 1 tanh, so 9 for each element.
constexpr OpCost gelu(int64_t n_rows, int64_t ffn_dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 9 * n_rows * ffn_dim, .activation_bytes = 2 * n_rows * ffn_dim * activation_elem_bytes};
}

}  // namespace cost

struct Gelu {
  static constexpr OpTraits kTraits{.name = "gelu"};
  static constexpr double kSqrt2OverPi = 0.79788456080286535588;
  static constexpr double kCubic = 0.044715;

  Site site;
  ConstTensorView x;  // [n_rows, ffn_dim]
  TensorView out;     // [n_rows, ffn_dim]

  void check() const { require_shape("gelu input", x.shape(), out.shape()); }
  Operands operands() const { return {.reads = {x}, .writes = {out}}; }
  OpCost cost() const { return cost::gelu(x.n_rows(), x.row_size(), elem_bytes(x.dtype())); }
};

}  // namespace lastrow
