// RoPE: rotates pairs of elements of each head, in place, by an angle that grows with the position.
//   (a, b) ← (a·cos − b·sin, a·sin + b·cos),   angle = position · theta^(−2d/head_dim)
// The pairs are (d, d + head_dim/2), or (2d, 2d + 1) if the table is interleaved.
// Source: Su et al. 2021, "RoFormer", eq. 34.
#pragma once

#include "ops/batch.h"
#include "ops/operands.h"

namespace lastrow {

/// Cosines and sines of the angles. They are computed once, on the host in double precision, and uploaded.
struct RopeTable {
  Tensor cos, sin;  // [max_seq_len, head_dim / 2]
  bool interleaved = false;
};

namespace cost {

/// A pair needs 4 multiplications and 2 additions, so a head needs 3·head_dim flop. Reads and writes x in
/// place, and reads head_dim sines and cosines (f32) for each token.
constexpr OpCost rope(int64_t n_tokens, int64_t n_heads, int64_t head_dim,
                      int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 3 * n_tokens * n_heads * head_dim,
          .activation_bytes = n_tokens * head_dim * (2 * n_heads * activation_elem_bytes + kF32Bytes)};
}

}  // namespace cost

struct Rope {
  static constexpr OpTraits kTraits{.name = "rope"};

  Site site;
  const RopeTable& table;
  Batch batch;
  TensorView x;  // [n_tokens, n_heads, head_dim]   in place

  /// Also throws ShapeError for a position beyond the table.
  void check() const {
    require_rank("rope input", x, 3);
    require_shape("rope input", x.shape(), {batch.plan->n_tokens(), x.dim(1), 2 * table.cos.shape()[1]});
    require_positions(batch, table.cos.shape()[0], "RoPE angle");
  }
  Operands operands() const { return {.reads = {x}, .writes = {x}}; }
  OpCost cost() const { return cost::rope(x.dim(0), x.dim(1), x.dim(2), elem_bytes(x.dtype())); }
};

}  // namespace lastrow
