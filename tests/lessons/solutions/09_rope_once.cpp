#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Rotates a row [head_dim] for a position: each pair of elements d and d + head_dim / 2, by the angle
/// position · 10000^(−2d / head_dim).
static void rotate(float* row, int32_t head_dim, int32_t position) {
  const int32_t half = head_dim / 2;
  for (int32_t d = 0; d < half; ++d) {
    const double angle = position * std::pow(10000.0, -2.0 * d / head_dim);
    const double a = row[d], b = row[d + half];
    row[d] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
    row[d + half] = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
  }
}

/// q, k     [n_new, head_dim]         from the projections; q is rotated in place
/// k_cache  [max_seq_len, head_dim]   its first `length` rows were stored and rotated by earlier steps
void rope_step(float* q, const float* k, int32_t n_new, int32_t length, int32_t head_dim, float* k_cache) {
  for (int32_t t = 0; t < n_new; ++t) {
    std::copy_n(k + t * head_dim, head_dim, k_cache + (length + t) * head_dim);
    rotate(k_cache + (length + t) * head_dim, head_dim, length + t);
    rotate(q + t * head_dim, head_dim, length + t);
  }
}

}  // namespace lastrow::exercises
