// The softmax of one row of scores, for the Probe of backends in host memory.
//
//   T distance = softmax_of_scores(scores, kv_len, keys, written_lse, probs);
//
// It is the softmax of these scores, so 0 ≤ p ≤ 1 and Σ p = 1. Do not compute p as exp(score − lse) with the
// log-sum-exp that attend wrote: attend sums q · k in another order. If scores are large, the two sums may
// differ by more than 1, and the result would not be a probability.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "attention/mask.h"

namespace lastrow {

/// |(row_max + log_sum) − written|; 0 if both are the same infinity or both are NaN.
template <typename T>
T lse_difference(T row_max, T log_sum, T written) {
  const T own = row_max + log_sum;
  if (own == written || (std::isnan(own) && std::isnan(written))) return 0;
  return std::abs((row_max - written) + log_sum);  // in this order large scores cancel without a loss
}

/// scores, probs [kv_len]. Scores that `keys` does not have are −∞, and their p is 0. If all visible scores of
/// a row are −∞, it sees nothing: every p is 0 and lse is −∞. If a visible score is +∞ or NaN, p is NaN at all
/// visible keys. Returns |lse of these scores − written|.
template <typename T>
T softmax_of_scores(const T* scores, int32_t kv_len, VisibleKeys keys, T written, T* probs) {
  constexpr T kMinusInfinity = -std::numeric_limits<T>::infinity();
  std::fill_n(probs, kv_len, T(0));
  T row_max = kMinusInfinity;
  bool sees_nothing = true;
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    row_max = std::max(row_max, scores[s]);
    sees_nothing = sees_nothing && scores[s] == kMinusInfinity;  // a NaN score counts as seen
  }
  if (sees_nothing) return lse_difference(kMinusInfinity, T(0), written);
  double row_sum = 0;
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    probs[s] = std::exp(scores[s] - row_max);
    row_sum += probs[s];
  }
  for (int32_t i = 0; i < keys.count(); ++i)
    probs[keys.index(i)] = static_cast<T>(probs[keys.index(i)] / row_sum);
  return lse_difference(row_max, static_cast<T>(std::log(row_sum)), written);
}

}  // namespace lastrow
