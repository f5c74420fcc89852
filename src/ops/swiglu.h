// SwiGLU: multiplies one hidden row of a feed-forward layer by silu of another, its gate.
//   out = silu(gate) ⊙ up,   silu(x) = x / (1 + e^−x)
// Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 5.
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// gate · 1/(1 + exp(−gate)) · up: exp, add, division (as gate / …), multiplication, so 4 for each element.
constexpr OpCost swiglu(int64_t n_rows, int64_t ffn_dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 4 * n_rows * ffn_dim, .activation_bytes = 3 * n_rows * ffn_dim * activation_elem_bytes};
}

}  // namespace cost

struct Swiglu {
  static constexpr OpTraits kTraits{.name = "swiglu", .n_sources = 2};

  Site site;
  ConstTensorView gate, up;  // [n_rows, ffn_dim]
  TensorView out;            // [n_rows, ffn_dim]

  void check() const {
    require_shape("swiglu gate", gate.shape(), out.shape());
    require_shape("swiglu up", up.shape(), out.shape());
  }
  Operands operands() const { return {.reads = {gate, up}, .writes = {out}}; }
  OpCost cost() const { return cost::swiglu(gate.n_rows(), gate.row_size(), elem_bytes(gate.dtype())); }
};

}  // namespace lastrow
