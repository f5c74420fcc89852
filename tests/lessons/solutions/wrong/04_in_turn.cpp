// Told: query head 1 of 4 reads K/V head 1, expected K/V head 0
// Told: You take the K/V heads in turn
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// q, out  [n_q_heads, head_dim]     k, v  [n_kv_heads, kv_len, head_dim]
void attend_step(const float* q, const float* k, const float* v, int32_t n_q_heads, int32_t n_kv_heads,
                 int32_t head_dim, int32_t kv_len, float scale, float* out) {
  std::vector<float> weights(static_cast<size_t>(kv_len));
  for (int32_t h = 0; h < n_q_heads; ++h, q += head_dim, out += head_dim) {
    const int32_t g = h % n_kv_heads;
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
