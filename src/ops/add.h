// Adds what a sublayer computed to the residual stream, in place.
//   x += y
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// One addition for each element.
constexpr OpCost add(int64_t n_rows, int64_t dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * dim, .activation_bytes = 3 * n_rows * dim * activation_elem_bytes};
}

}  // namespace cost

struct Add {
  static constexpr OpTraits kTraits{.name = "add", .n_sources = 2};

  Site site;
  ConstTensorView y;  // [n_rows, dim]
  TensorView x;       // [n_rows, dim]   in place

  void check() const { require_shape("addend", y.shape(), x.shape()); }
  Operands operands() const { return {.reads = {y, x}, .writes = {x}}; }
  OpCost cost() const { return cost::add(y.n_rows(), y.row_size(), elem_bytes(y.dtype())); }
};

}  // namespace lastrow
