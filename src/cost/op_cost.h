// What one backend operation costs: flop, and bytes by kind. A function for each, from sizes alone.
//
//   OpCost c = cost::linear(n_rows, in_dim, out_dim, false, 2);       each function's comment is its formula
//   c += cost::attend({.visible_cells = cost::visible_cells(q_len, kv_len, true), …});
//   c.bytes()                                                         all kinds together
//
// flop              an add, subtract or multiply is 1, so a multiply-add is 2; a division, square root, exp,
//                   tanh or compare is 1. Changes of sign or of element type are free.
// weight_bytes      parameters read: once an operation, however many rows use them (no rows: none)
// cache_bytes_…     rows of K and V in the store, each once for each K/V head, with its scale where the type
//                   has one: useful bytes, not what some kernel reads again. Rows that no query of the step
//                   sees are not read.
// activation_bytes  inputs read and outputs written, each once an operation: the traffic of operations that
//                   hand over through memory. Token ids and row numbers are 4 bytes.
//
// Looking is free: `probe` and traces are not the model's work and have no cost here.
// Never pass negative sizes. Nothing here checks or allocates, so that a decode step may call it; sums are
// exact below 2^63 (step_cost checks that for whole models).
#pragma once

#include <cstdint>

namespace lastrow {

struct OpCost {
  int64_t flop = 0;
  int64_t weight_bytes = 0;
  int64_t cache_bytes_read = 0;
  int64_t cache_bytes_written = 0;
  int64_t activation_bytes = 0;

  constexpr int64_t bytes() const {
    return weight_bytes + cache_bytes_read + cache_bytes_written + activation_bytes;
  }
  constexpr OpCost& operator+=(const OpCost& o) {
    flop += o.flop;
    weight_bytes += o.weight_bytes;
    cache_bytes_read += o.cache_bytes_read;
    cache_bytes_written += o.cache_bytes_written;
    activation_bytes += o.activation_bytes;
    return *this;
  }
  friend constexpr OpCost operator+(OpCost a, const OpCost& b) { return a += b; }
  friend constexpr OpCost operator*(int64_t n, const OpCost& c) {
    return {n * c.flop, n * c.weight_bytes, n * c.cache_bytes_read, n * c.cache_bytes_written,
            n * c.activation_bytes};
  }
  constexpr bool operator==(const OpCost&) const = default;
};

namespace cost {

constexpr int64_t kIdBytes = 4;   // a token id or a row number
constexpr int64_t kF32Bytes = 4;  // activations, unless a backend says otherwise

/// Scores of one head that the mask lets through: pairs (query t, key s) as in attention/mask.h. Causal, no
/// window: Σ_t max(0, kv_len − q_len + t + 1); a window > 0 leaves each query the last `window` of its keys.
int64_t visible_cells(int64_t q_len, int64_t kv_len, bool causal, int64_t window = 0);

/// Cached rows that at least one query of the step sees: kv_len, less what the window hides from the first.
int64_t visible_rows(int64_t q_len, int64_t kv_len, bool causal, int64_t window = 0);

/// ids [n_rows] → [n_rows, model_dim]: no flop; reads the rows asked for, not the table.
constexpr OpCost embed(int64_t n_rows, int64_t model_dim, int64_t weight_elem_bytes,
                       int64_t activation_elem_bytes = kF32Bytes) {
  return {.weight_bytes = n_rows * model_dim * weight_elem_bytes,
          .activation_bytes = n_rows * (kIdBytes + model_dim * activation_elem_bytes)};
}

/// 4·dim + 4 a row: sum of squares 2·dim; mean, eps, square root, reciprocal 4; x · that · weight 2·dim.
constexpr OpCost rms_norm(int64_t n_rows, int64_t dim, int64_t weight_elem_bytes,
                          int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * (4 * dim + 4),
          .weight_bytes = n_rows > 0 ? dim * weight_elem_bytes : 0,
          .activation_bytes = 2 * n_rows * dim * activation_elem_bytes};
}

/// 7·dim + 5 a row: sum dim, centre dim, squares 2·dim, scale and shift 3·dim; 5 for two means, eps, square
/// root and reciprocal.
constexpr OpCost layer_norm(int64_t n_rows, int64_t dim, int64_t weight_elem_bytes,
                            int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * (7 * dim + 5),
          .weight_bytes = n_rows > 0 ? 2 * dim * weight_elem_bytes : 0,
          .activation_bytes = 2 * n_rows * dim * activation_elem_bytes};
}

/// [n_rows, in_dim] · [out_dim, in_dim]ᵀ: 2·n_rows·in_dim·out_dim, and n_rows·out_dim for a bias.
constexpr OpCost linear(int64_t n_rows, int64_t in_dim, int64_t out_dim, bool has_bias,
                        int64_t weight_elem_bytes, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 2 * n_rows * in_dim * out_dim + (has_bias ? n_rows * out_dim : 0),
          .weight_bytes = n_rows > 0 ? (in_dim * out_dim + (has_bias ? out_dim : 0)) * weight_elem_bytes : 0,
          .activation_bytes = n_rows * (in_dim + out_dim) * activation_elem_bytes};
}

/// Turns pairs in place, 4 multiplications and 2 additions each: 3·head_dim a head. Reads head_dim sines and
/// cosines (f32) a token.
constexpr OpCost rope(int64_t n_tokens, int64_t n_heads, int64_t head_dim,
                      int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 3 * n_tokens * n_heads * head_dim,
          .activation_bytes = n_tokens * head_dim * (2 * n_heads * activation_elem_bytes + kF32Bytes)};
}

/// Bytes of a stored row: its elements, and its scale (int8: 4 bytes, else none).
constexpr int64_t row_bytes(int64_t head_dim, int64_t cache_elem_bytes, int64_t cache_scale_bytes) {
  return head_dim * cache_elem_bytes + cache_scale_bytes;
}

/// New k and v [n_tokens, n_kv_heads, head_dim] into their slots of one layer.
constexpr OpCost append(int64_t n_tokens, int64_t n_kv_heads, int64_t head_dim, int64_t cache_elem_bytes,
                        int64_t activation_elem_bytes = kF32Bytes, int64_t cache_scale_bytes = 0) {
  const int64_t rows = 2 * n_tokens * n_kv_heads;
  return {.cache_bytes_written = rows * row_bytes(head_dim, cache_elem_bytes, cache_scale_bytes),
          .activation_bytes = rows * head_dim * activation_elem_bytes};
}

struct AttendSize {
  int64_t visible_cells = 0;  // Σ over sequences of visible_cells(…)
  int64_t kv_rows = 0;        // Σ over sequences of visible_rows(…)
  int64_t n_tokens = 0;       // queries, Σ q_len
  int64_t n_q_heads = 0;
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t cache_elem_bytes = kF32Bytes;
  int64_t activation_elem_bytes = kF32Bytes;
  int64_t cache_scale_bytes = 0;  // of a row
};

/// 4·n_q_heads·head_dim·visible_cells: q·k is 2·head_dim a cell, p·v as much. The softmax's few flop a cell
/// (scale, compare, subtract, exp, add) are left out, as is usual: about 1/head_dim of the sum.
/// Reads K and V of each visible row once a K/V head; q, out, and lse (f32) are the activations.
constexpr OpCost attend(const AttendSize& n) {
  return {
      .flop = 4 * n.n_q_heads * n.head_dim * n.visible_cells,
      .cache_bytes_read =
          2 * n.kv_rows * n.n_kv_heads * row_bytes(n.head_dim, n.cache_elem_bytes, n.cache_scale_bytes),
      .activation_bytes = n.n_tokens * n.n_q_heads * (2 * n.head_dim * n.activation_elem_bytes + kF32Bytes)};
}

/// gate · 1/(1 + exp(−gate)) · up: exp, add, division (as gate / …), multiplication: 4 an element.
constexpr OpCost swiglu(int64_t n_rows, int64_t ffn_dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 4 * n_rows * ffn_dim, .activation_bytes = 3 * n_rows * ffn_dim * activation_elem_bytes};
}

/// ½x(1 + tanh(c(x + a·x³))): 8 multiplications and additions and 1 tanh: 9 an element.
constexpr OpCost gelu(int64_t n_rows, int64_t ffn_dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = 9 * n_rows * ffn_dim, .activation_bytes = 2 * n_rows * ffn_dim * activation_elem_bytes};
}

/// a + b: 1 an element.
constexpr OpCost add(int64_t n_rows, int64_t dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = n_rows * dim, .activation_bytes = 3 * n_rows * dim * activation_elem_bytes};
}

/// Copies n_rows chosen rows: no flop.
constexpr OpCost gather_rows(int64_t n_rows, int64_t dim, int64_t activation_elem_bytes = kF32Bytes) {
  return {.activation_bytes = n_rows * (kIdBytes + 2 * dim * activation_elem_bytes)};
}

/// [n_rows, vocab_size] → ids [n_rows]: vocab_size − 1 compares a row.
constexpr OpCost argmax(int64_t n_rows, int64_t vocab_size, int64_t activation_elem_bytes = kF32Bytes) {
  return {.flop = vocab_size > 0 ? n_rows * (vocab_size - 1) : 0,
          .activation_bytes = n_rows * (kIdBytes + vocab_size * activation_elem_bytes)};
}

/// Overwrites n_rows stored rows of K, or of V, in one layer (pokes): counted like half an append.
constexpr OpCost write_rows(int64_t n_rows, int64_t n_kv_heads, int64_t head_dim, int64_t cache_elem_bytes,
                            int64_t activation_elem_bytes = kF32Bytes, int64_t cache_scale_bytes = 0) {
  const int64_t rows = n_rows * n_kv_heads;
  return {.cache_bytes_written = rows * row_bytes(head_dim, cache_elem_bytes, cache_scale_bytes),
          .activation_bytes = rows * head_dim * activation_elem_bytes};
}

/// Copies n_blocks blocks of K and of V in each of n_layers layers, whole blocks: reads as much as it writes.
constexpr OpCost copy_blocks(int64_t n_blocks, int64_t block_len, int64_t n_layers, int64_t n_kv_heads,
                             int64_t head_dim, int64_t cache_elem_bytes, int64_t cache_scale_bytes = 0) {
  const int64_t rows = 2 * n_blocks * block_len * n_layers * n_kv_heads;
  const int64_t bytes = rows * row_bytes(head_dim, cache_elem_bytes, cache_scale_bytes);
  return {.cache_bytes_read = bytes, .cache_bytes_written = bytes};
}

}  // namespace cost
}  // namespace lastrow
