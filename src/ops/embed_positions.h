// Learned positions: a table has one row for each position. Each token adds its position's row, in place.
//   x[t,:] += table[positions[t],:]
// Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2).
#pragma once

#include "ops/batch.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// One addition for each element. Reads and writes x, and reads one row of the table for each token.
constexpr OpCost embed_positions(int64_t n_rows, int64_t model_dim, int64_t weight_elem_bytes,
                                 int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * model_dim,
          .weight_bytes = n_rows * model_dim * weight_elem_bytes,
          .activation_bytes = n_rows * (kIdBytes + 2 * model_dim * activation_elem_bytes)};
}

}  // namespace cost

struct EmbedPositions {
  static constexpr OpTraits kTraits{.name = "embed_positions"};

  Site site;
  ConstTensorView table;  // [max_seq_len, model_dim]
  Batch batch;
  TensorView x;  // [n_tokens, model_dim]   in place

  /// Also throws ShapeError for a position beyond the table.
  void check() const {
    require_rank("position table", table, 2);
    require_shape("embedded tokens", x.shape(), {batch.plan->n_tokens(), table.dim(1)});
    require_positions(batch, table.dim(0), "row in the table of learned positions");
  }
  Operands operands() const { return {.reads = {x, table}, .writes = {x}}; }
  OpCost cost() const {
    return cost::embed_positions(x.n_rows(), x.row_size(), elem_bytes(table.dtype()), elem_bytes(x.dtype()));
  }
};

}  // namespace lastrow
