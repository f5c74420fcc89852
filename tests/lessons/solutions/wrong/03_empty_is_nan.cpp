// Told: no keys on the right, on the left, on both sides: 0 keys, cut after 0: row_sum is NaN, expected 0
// Told: (−∞) − (−∞)
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Afterwards `partial` is the Partial of its own keys and the keys of `other`. Each of the two may have seen no
/// key: row_max −∞, row_sum 0, acc 0.
void merge(Partial& partial, const Partial& other) {
  const float row_max = std::max(partial.row_max, other.row_max);
  const float self = std::exp(partial.row_max - row_max), theirs = std::exp(other.row_max - row_max);
  partial.row_max = row_max;
  partial.row_sum = self * partial.row_sum + theirs * other.row_sum;
  for (size_t d = 0; d < partial.acc.size(); ++d)
    partial.acc[d] = self * partial.acc[d] + theirs * other.acc[d];
}

void take(Partial& partial, float score, const std::vector<float>& value) {
  merge(partial, {.row_max = score, .row_sum = 1, .acc = value});  // exp(score − row_max) is 1
}

}  // namespace lastrow::exercises
