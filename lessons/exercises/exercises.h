// The functions of the exercises. Exercises, checkers and solutions share these declarations.
//
//   lessons/exercises/NN_….cpp   fill the gap, which is marked  // Your turn
//   lessons/check NN             says whether it is right, and if not, what is wrong
//
// Do not change the declarations: the checkers call them. Exercise 07 is a kernel; see score_row.h.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "cache/step_plan.h"
#include "cost/memory.h"

namespace lastrow::exercises {

// ---- 01 the causal mask
/// May query t of a step's q_len queries see key s of the sequence's kv_len keys?
bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s);

// ---- 02 the append
/// Stores the rows of n_new tokens after the `length` rows that a sequence has already.
/// rows     [n_new, n_kv_heads, head_dim]
/// storage  [n_kv_heads, max_seq_len, head_dim]   of K, or of V, of one layer
void append(const float* rows, int32_t n_new, int32_t length, int32_t n_kv_heads, int32_t max_seq_len,
            int32_t head_dim, float* storage);

// ---- 03 online softmax
/// The result of the keys seen so far. The weighted sum of their values is acc / row_sum.
struct Partial {
  float row_max = -std::numeric_limits<float>::infinity();  // the largest score; −∞: no key seen yet
  float row_sum = 0;                                        // Σ exp(score − row_max)
  std::vector<float> acc;                                   // Σ exp(score − row_max) · value   [head_dim]
};
/// Adds one key: its score, and its value row [head_dim].
void take(Partial& partial, float score, const std::vector<float>& value);
/// Adds all keys of `other`.
void merge(Partial& partial, const Partial& other);

// ---- 04 grouped heads
/// A decode step of one sequence: one query row per head, and the rows stored so far.
/// q, out  [n_q_heads, head_dim]     k, v  [n_kv_heads, kv_len, head_dim]
/// n_q_heads is a multiple of n_kv_heads; kv_len ≥ 1.
void attend_step(const float* q, const float* k, const float* v, int32_t n_q_heads, int32_t n_kv_heads,
                 int32_t head_dim, int32_t kv_len, float scale, float* out);

// ---- 05 the memory formula
/// Bytes of K and V for `batch` sequences of `context` tokens each (src/cost/model_shape.h,
/// src/cost/memory.h).
int64_t bytes_of_cache(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format);

// ---- 06 the block table
/// The element at which the row of `index` and K/V head g begins.
/// blocks   [n_blocks of the sequence]   the blocks of storage, one for every block_len indices
/// storage  [blocks, n_kv_heads, block_len, head_dim]
int64_t element_of(const int32_t* blocks, int32_t block_len, int32_t n_kv_heads, int32_t head_dim,
                   int32_t index, int32_t g);

// ---- 08 off by one
/// Plans the next step of one sequence in a contiguous cache (src/cache/step_plan.h).
///   tokens     all tokens so far; those of this step come last
///   n_cached   how many of them have their K and V rows in the cache
StepPlan plan_step(std::span<const int32_t> tokens, int32_t n_cached, int32_t max_seq_len);

// ---- 09 RoPE and the cache
/// A step of one head: rotates the queries, and stores the rotated keys after the `length` stored keys.
/// q, k     [n_new, head_dim]         from the projections; q is rotated in place
/// k_cache  [max_seq_len, head_dim]   its first `length` rows were stored and rotated by earlier steps
void rope_step(float* q, const float* k, int32_t n_new, int32_t length, int32_t head_dim, float* k_cache);

// ---- 10 which rows
struct RowRange {
  int32_t begin, end;  // tokens begin … end − 1 of the sequence
};
/// The rows that a step must compute in one layer.
struct RowsNeeded {
  RowRange q, k, v;
};
/// A sequence has n_tokens tokens. The K and V rows of the first n_cached tokens are in the cache. The step
/// must give the logits of the last token.
/// n_cached < n_tokens; 0 means a prefill, or a recompute without a cache.
RowsNeeded rows_needed(int32_t n_layers, int32_t layer, int32_t n_tokens, int32_t n_cached);

}  // namespace lastrow::exercises
