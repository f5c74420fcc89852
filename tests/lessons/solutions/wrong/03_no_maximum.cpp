// Softmax without a maximum: right as long as exp(score) is a number.
// Told: scores of 10000, and of −10000: 3 keys, cut after 1: row_max is 0 and row_sum is ∞
// Told: exp of a large score is infinite
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Afterwards `partial` is the Partial of its own keys and the keys of `other`. Each of the two may have seen no
/// key: row_max −∞, row_sum 0, acc 0.
void merge(Partial& partial, const Partial& other) {
  const float row_max = 0;
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
