// What an operation costs: flop, and bytes by kind. The formula of each operation is in its file in ops/.
//
//   OpCost c = cost::linear(n_rows, in_dim, out_dim, false, 2);   from sizes (ops/linear.h)
//   c += cost_of(op);                                             of a call (ops/op.h)
//   c.bytes()                                                     all kinds together
//
// flop              an add, subtract or multiply is 1, so a multiply-add is 2; a division, square root, exp,
//                   tanh or compare is 1. Changes of sign or of element type are free.
// weight_bytes      parameters read: once per operation, for any number of rows; nothing if there are no rows
// cache_bytes_…     rows of K and V in the store, each once for each K/V head, with its scale if the type has
//                   one. These are the useful bytes: a row that a kernel reads again does not count again.
//                   Rows that no query of the step sees are not read.
// activation_bytes  inputs read and outputs written, each once per operation, as if every operation passed its
//                   results to the next one through memory. Token ids and row numbers are 4 bytes.
//
// scratch_bytes     copies of K rows that last for one layer of one step: written when the keys are rotated
//                   (ops/rotate_keys.h), and read by attention in place of the stored K
//
// Probes and traces cost nothing here, because they are not the model's work.
// Never pass negative sizes. Nothing here checks or allocates, so a decode step may call it. Sums are exact
// below 2^63 (step_cost checks that for whole models).
#pragma once

#include <cstdint>

namespace lastrow {

struct OpCost {
  int64_t flop = 0;
  int64_t weight_bytes = 0;
  int64_t cache_bytes_read = 0;
  int64_t cache_bytes_written = 0;
  int64_t activation_bytes = 0;
  int64_t scratch_bytes = 0;

  constexpr int64_t bytes() const {
    return weight_bytes + cache_bytes_read + cache_bytes_written + activation_bytes + scratch_bytes;
  }
  constexpr OpCost& operator+=(const OpCost& o) {
    flop += o.flop;
    weight_bytes += o.weight_bytes;
    cache_bytes_read += o.cache_bytes_read;
    cache_bytes_written += o.cache_bytes_written;
    activation_bytes += o.activation_bytes;
    scratch_bytes += o.scratch_bytes;
    return *this;
  }
  friend constexpr OpCost operator+(OpCost a, const OpCost& b) { return a += b; }
  friend constexpr OpCost operator*(int64_t n, const OpCost& c) {
    return {n * c.flop,
            n * c.weight_bytes,
            n * c.cache_bytes_read,
            n * c.cache_bytes_written,
            n * c.activation_bytes,
            n * c.scratch_bytes};
  }
  constexpr bool operator==(const OpCost&) const = default;
};

namespace cost {

constexpr int64_t kIdBytes = 4;   // a token id or a row number
constexpr int64_t kF32Bytes = 4;  // activations, unless a backend says otherwise

/// Scores of one head that the mask lets through: pairs (query t, key s) as in attention/mask.h. Causal, no
/// window: Σ_t max(0, kv_len − q_len + t + 1). most_keys > 0: a query sees at most this many keys, which are
/// those of the window and the sinks (MaskRule::most_keys).
int64_t visible_cells(int64_t q_len, int64_t kv_len, bool causal, int64_t most_keys = 0);

/// Cached rows that at least one query of the step sees:
/// kv_len minus the rows that the window hides from the first query.
int64_t visible_rows(int64_t q_len, int64_t kv_len, bool causal, int64_t most_keys = 0);

/// How a row of K or of V is stored.
struct RowFormat {
  int64_t elem_bytes = kF32Bytes;
  int64_t scale_bytes = 0;  // of one scale: int8 has 4 bytes, int4 and fp4 have 2, the other types have none
  int64_t n_in_elem = 1;    // numbers in elem_bytes: 2 for int4 and fp4
  int64_t group = 0;        // numbers that share a scale; 0: all of the row

  constexpr int64_t row_bytes(int64_t head_dim) const {
    const int64_t n_scales = group == 0 ? 1 : (head_dim + group - 1) / group;
    return (head_dim + n_in_elem - 1) / n_in_elem * elem_bytes + n_scales * scale_bytes;
  }
};

}  // namespace cost
}  // namespace lastrow
