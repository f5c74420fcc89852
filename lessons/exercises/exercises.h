// The exercises: what each asks for, as a declaration that the exercise, its checker and its solution share.
//
//   lessons/exercises/NN_….cpp     fill the gap, which is marked  // Your turn
//   lessons/check NN               says whether it is right, and if not, what is wrong
//
// Do not change the declarations: the checkers call them.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace lastrow::exercises {

// ---- 01 the causal mask
/// May query t of a step's q_len queries see key s of the sequence's kv_len keys?
bool sees(int32_t q_len, int32_t kv_len, int32_t t, int32_t s);

// ---- 02 the append
/// Stores the rows of n_new tokens behind the `length` rows that a sequence has already.
/// rows     [n_new, n_kv_heads, head_dim]
/// storage  [n_kv_heads, max_seq_len, head_dim]   of K, or of V, of one layer
void append(const float* rows, int32_t n_new, int32_t length, int32_t n_kv_heads, int32_t max_seq_len,
            int32_t head_dim, float* storage);

// ---- 03 online softmax
/// What has come of the keys seen so far. Their weighted sum of values is acc / row_sum.
struct Partial {
  float row_max = -std::numeric_limits<float>::infinity();  // of the scores; −∞: no key seen yet
  float row_sum = 0;                                        // Σ exp(score − row_max)
  std::vector<float> acc;                                   // Σ exp(score − row_max) · value   [head_dim]
};
/// One more key: its score, and its value row [head_dim].
void take(Partial& partial, float score, const std::vector<float>& value);
/// All keys of `other`, too.
void merge(Partial& partial, const Partial& other);

// ---- 04 grouped heads
/// A decode step of one sequence: one query row a head, and the rows stored so far.
/// q, out  [n_q_heads, head_dim]     k, v  [n_kv_heads, kv_len, head_dim]
/// n_q_heads is a multiple of n_kv_heads; kv_len ≥ 1.
void attend_step(const float* q, const float* k, const float* v, int32_t n_q_heads, int32_t n_kv_heads,
                 int32_t head_dim, int32_t kv_len, float scale, float* out);

}  // namespace lastrow::exercises
