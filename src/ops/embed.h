// The embedding of each token of the step: a row of a table.
//   out[t,:] = table[tokens[t],:]
#pragma once

#include "ops/batch.h"
#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// ids [n_rows] → [n_rows, model_dim]: no flop; reads the rows asked for, not the whole table.
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

  /// Throws ShapeError for a token outside the vocabulary, too.
  void check() const;
  Operands operands() const { return {.reads_tokens = true, .reads = {table}, .writes = {out}}; }
  OpCost cost() const {
    return cost::embed(out.n_rows(), out.row_size(), elem_bytes(table.dtype()), elem_bytes(out.dtype()));
  }
};

}  // namespace lastrow
