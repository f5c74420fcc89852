// The most likely token of each row of logits.
//   ids[i] = index of the largest of logits[i,:]; if several are equal, the first of them
#pragma once

#include "ops/operands.h"

namespace lastrow {

namespace cost {

/// [n_rows, vocab_size] → ids [n_rows]: vocab_size − 1 comparisons for each row.
constexpr OpCost argmax(int64_t n_rows, int64_t vocab_size, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = vocab_size > 0 ? n_rows * (vocab_size - 1) : 0,
          .activation_bytes = n_rows * (kIdBytes + vocab_size * activation_elem_bytes)};
}

}  // namespace cost

struct Argmax {
  static constexpr OpTraits kTraits{.name = "argmax"};

  Site site;
  ConstTensorView logits;  // [n_rows, vocab_size]
  TensorView ids;          // [n_rows]   i32

  void check() const {
    require_rank("logits", logits, 2);
    require_shape("argmax ids", ids.shape(), {logits.dim(0)});
  }
  Operands operands() const { return {.reads = {logits}, .writes = {ids}}; }
  OpCost cost() const { return cost::argmax(logits.n_rows(), logits.row_size(), elem_bytes(logits.dtype())); }
};

}  // namespace lastrow
