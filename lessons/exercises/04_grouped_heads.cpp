// Exercise 04: grouped heads.
//
// Task      There are n_q_heads query heads, but only n_kv_heads heads of keys and values are stored.
//           Consecutive query heads share one. Which K/V head does query head h read?
// Lesson    7
// Tests     4 query heads on 2 K/V heads with one key, where each output must be a stored row; then one K/V
//           head per query head (MHA), one for all (MQA), and groups of 2, 3, 4 and 8, compared with the
//           naive backend
//
//   lessons/check 04
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// q, out  [n_q_heads, head_dim]     k, v  [n_kv_heads, kv_len, head_dim]
void attend_step(const float* q, const float* k, const float* v, int32_t n_q_heads, int32_t n_kv_heads,
                 int32_t head_dim, int32_t kv_len, float scale, float* out) {
  std::vector<float> weights(static_cast<size_t>(kv_len));
  for (int32_t h = 0; h < n_q_heads; ++h, q += head_dim, out += head_dim) {
    // Your turn: the K/V head that query head h reads. Now every query head reads K/V head 0.
    const int32_t g = 0;
    const float *keys = k + int64_t{g} * kv_len * head_dim, *values = v + int64_t{g} * kv_len * head_dim;

    for (int32_t s = 0; s < kv_len; ++s) {
      float dot = 0;
      for (int32_t d = 0; d < head_dim; ++d) dot += q[d] * keys[s * head_dim + d];
      weights[s] = scale * dot;
    }
    const float row_max = *std::max_element(weights.begin(), weights.end());
    float row_sum = 0;
    for (float& weight : weights) row_sum += weight = std::exp(weight - row_max);

    std::fill_n(out, head_dim, 0.0f);
    for (int32_t s = 0; s < kv_len; ++s)
      for (int32_t d = 0; d < head_dim; ++d) out[d] += weights[s] / row_sum * values[s * head_dim + d];
  }
}

}  // namespace lastrow::exercises
