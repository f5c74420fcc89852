// Exercise 09: RoPE and the cache.
//
// Asked     RoPE turns queries and keys by an angle that grows with the token's position, so that a score
//           depends on how far two tokens are apart. Which rows does a step turn, and by which position?
// Met in    lesson 11 (two of its bugs)
// Tried     keys (1, 0), which turned by position p are (cos p, sin p): a prefill of 2 tokens, two decode
//           steps, a step of 2 tokens; then other head_dims and lengths, against the naive backend
//
//   lessons/check 09
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Turns a row [head_dim] by a position: elements d and d + head_dim / 2 together, by the angle
/// position · 10000^(−2d / head_dim).
static void turn(float* row, int32_t head_dim, int32_t position) {
  const int32_t half = head_dim / 2;
  for (int32_t d = 0; d < half; ++d) {
    const double angle = position * std::pow(10000.0, -2.0 * d / head_dim);
    const double a = row[d], b = row[d + half];
    row[d] = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
    row[d + half] = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
  }
}

/// q, k     [n_new, head_dim]         as they come from the projections; q is turned in place
/// k_cache  [max_seq_len, head_dim]   `length` rows of it are stored, turned by the steps before
void rope_step(float* q, const float* k, int32_t n_new, int32_t length, int32_t head_dim, float* k_cache) {
  for (int32_t t = 0; t < n_new; ++t)
    std::copy_n(k + t * head_dim, head_dim, k_cache + (length + t) * head_dim);
  // Your turn: turn what is to be turned. Now nothing is.
}

}  // namespace lastrow::exercises
