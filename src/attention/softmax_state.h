// Softmax over scores that arrive piece by piece: a running maximum and sum, mergeable in any order.
//
// For scores x over a set S:  row_max = max x,  row_sum = Σ exp(x − row_max),  lse = row_max + ln row_sum.
// Two disjoint sets merge by rescaling each sum to the common maximum; whatever is accumulated beside the sum
// (a weighted sum of V rows) is rescaled by the same factors. Natural log throughout.
// The empty set is row_max = −∞, row_sum = 0, lse = −∞.
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

  /// Factor by which sums taken under the maximum `old_max` shrink under the maximum `new_max` ≥ old_max.
  /// The guard is the trap of the empty set: (−∞) − (−∞) is NaN.
  LASTROW_HD static T rescale(T old_max, T new_max) {
    return old_max == -std::numeric_limits<T>::infinity() ? T(0) : std::exp(old_max - new_max);
  }

  /// Takes `other` in; returns what the accumulators of each side are to be multiplied with.
  struct Factors {
    T self, other;
  };
  LASTROW_HD Factors merge(const SoftmaxState& other) {
    const T new_max = row_max > other.row_max ? row_max : other.row_max;
    const Factors f{rescale(row_max, new_max), rescale(other.row_max, new_max)};
    row_sum = row_sum * f.self + other.row_sum * f.other;
    row_max = new_max;
    return f;
  }

  /// Log-sum-exp of the scores seen; −∞ if none were, NaN if one was NaN.
  LASTROW_HD T lse() const {
    return row_sum == T(0) ? -std::numeric_limits<T>::infinity() : row_max + std::log(row_sum);
  }
};

}  // namespace lastrow
