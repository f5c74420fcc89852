// Looks up the embedding of each token of the step: one row of a table.
//   out[t,:] = table[tokens[t],:]
#pragma once

#include "ops/batch.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// ids [n_rows] → [n_rows, model_dim]: no flop. Reads one row of the table for each id, not the whole table.
constexpr OpCost embed(int64_t n_rows, int64_t model_dim, int64_t weight_elem_bytes,
                       int64_t activation_elem_bytes = kF32Bytes) {
  return {.weight_bytes = n_rows * model_dim * weight_elem_bytes,
          .activation_bytes = n_rows * (kIdBytes + model_dim * activation_elem_bytes)};
}

}  // namespace cost

struct Embed {
  static constexpr OpTraits kTraits{.name = "embed"};

  Site site;
  ConstTensorView table;  // [vocab_size, model_dim]
  Batch batch;
  TensorView out;  // [n_tokens, model_dim]

  /// Also throws ShapeError for a token outside the vocabulary.
  void check() const;
  Operands operands() const { return {.reads_tokens = true, .reads = {table}, .writes = {out}}; }
  OpCost cost() const {
    return cost::embed(out.n_rows(), out.row_size(), elem_bytes(table.dtype()), elem_bytes(out.dtype()));
  }
};

}  // namespace lastrow
