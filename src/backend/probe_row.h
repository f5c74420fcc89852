// The softmax of one row of scores, as Backend::probe gives it, for backends in host memory.
//
//   T distance = softmax_of_scores(scores, kv_len, keys, written_lse, probs);
//
// It is the softmax of these scores alone, 0 ≤ p ≤ 1 and Σ p = 1. It does not use the log-sum-exp of the
// kernel that attended: the kernel summed q · k in an order of its own, and where scores are large the two sums
// differ by more than 1, so that exp(score − lse) is no probability.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/mask.h"

namespace lastrow {

/// |a − b| of two values of lse; 0 where both are the same infinity, or both NaN.
template <typename T>
T lse_difference(T row_max, T log_sum, T written) {
  const T own = row_max + log_sum;
  if (own == written || (std::isnan(own) && std::isnan(written))) return 0;
  return std::abs((row_max - written) + log_sum);  // in this order nothing is lost where scores are large
}

/// scores, probs [kv_len]; scores outside `keys` are −∞ and their p is 0. A row whose visible scores are all
/// −∞ sees nothing: p is 0 throughout and its lse −∞. A visible +∞ or NaN makes p NaN at all visible keys.
/// Returns how far the lse of these scores is from `written`.
template <typename T>
T softmax_of_scores(const T* scores, int32_t kv_len, KeyRange keys, T written, T* probs) {
  constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();
  std::fill_n(probs, kv_len, T(0));
  T row_max = kMinusInfinity;
  bool sees_nothing = true;
  for (int32_t s = keys.begin; s < keys.end; ++s) {
    row_max = std::max(row_max, scores[s]);
    sees_nothing = sees_nothing && scores[s] == kMinusInfinity;  // NaN is seen
  }
  if (sees_nothing) return lse_difference(kMinusInfinity, T(0), written);
  double row_sum = 0;
  for (int32_t s = keys.begin; s < keys.end; ++s) {
    probs[s] = std::exp(scores[s] - row_max);
    row_sum += probs[s];
  }
  for (int32_t s = keys.begin; s < keys.end; ++s) probs[s] = static_cast<T>(probs[s] / row_sum);
  return lse_difference(row_max, static_cast<T>(std::log(row_sum)), written);
}

}  // namespace lastrow
