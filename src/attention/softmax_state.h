// Online softmax: the softmax of scores that arrive in pieces, from a running maximum and a running sum.
//
//   of scores x       row_max = max x    row_sum = Σ exp(x − row_max)    lse = row_max + ln row_sum
//   of no scores      row_max = −∞       row_sum = 0                     lse = −∞
//
//   SoftmaxState<float> state;                              no scores yet
//   const auto factors = state.merge({score, 1});           adds one score; or merge another state
//   acc = acc * factors.self + v * factors.other;           the caller's own sums
//   out = acc / state.row_sum;   lse = state.lse();         after the last score
//
// The states of two pieces can be merged, in any order. merge() rescales both sums to the larger maximum. A
// caller may keep its own sums beside the state, such as a weighted sum of V rows. It must rescale them with
// the factors that merge() returns. Do not use a sum that was not rescaled. All logarithms are natural.
// Source: Milakov and Gimelshein 2018, "Online normalizer calculation for softmax".
#pragma once

#include <cmath>
#include <limits>

#include "core/host_device.h"

namespace lastrow {

template <typename T>
struct SoftmaxState {
  T row_max = -std::numeric_limits<T>::infinity();
  T row_sum = 0;

  /// The factor for a sum when its maximum rises from `old_max` to `new_max`.
  /// No scores yet means old_max = −∞, and (−∞) − (−∞) is NaN. So that case returns 0.
  LASTROW_HD static T rescale(T old_max, T new_max) {
    return old_max == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(old_max - new_max);
  }

  struct Factors {
    T self, other;
  };
  /// Adds the scores of `other`. Returns the factor for the accumulators of each side.
  LASTROW_HD Factors merge(const SoftmaxState& other) {
    const T new_max = row_max > other.row_max ? row_max : other.row_max;
    const Factors f{rescale(row_max, new_max), rescale(other.row_max, new_max)};
    row_sum = row_sum * f.self + other.row_sum * f.other;
    row_max = new_max;
    return f;
  }

  /// Log-sum-exp of all scores so far: −∞ if there were none, NaN if one of them was NaN.
  LASTROW_HD T lse() const {
    return row_sum == T(0) ? -std::numeric_limits<T>::infinity() : row_max + std::log(row_sum);
  }
};

}  // namespace lastrow
