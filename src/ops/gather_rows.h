// Copies the rows of the tokens that need logits. The LM head then works on these rows only.
//   out[i,:] = x[logit_rows[i],:]
#pragma once

#include "ops/batch.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// Copies n_rows chosen rows: no flop.
constexpr OpCost gather_rows(int64_t n_rows, int64_t dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.activation_bytes = n_rows * (kIdBytes + 2 * dim * activation_elem_bytes)};
}

}  // namespace cost

struct GatherRows {
  static constexpr OpTraits kTraits{.name = "gather_rows", .rule = RowRule::gathered};

  Site site;
  ConstTensorView x;  // [n_tokens, dim]
  Batch batch;
  TensorView out;  // [n_rows, dim]   n_rows = number of logit_rows

  void check() const {
    require_rank("gather_rows input", x, 2);
    require_shape("gathered rows", out.shape(), {batch.plan->n_logit_rows(), x.dim(1)});
  }
  Operands operands() const { return {.reads = {x}, .writes = {out}}; }
  OpCost cost() const { return cost::gather_rows(out.n_rows(), out.row_size(), elem_bytes(out.dtype())); }
};

}  // namespace lastrow
