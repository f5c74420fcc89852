// Exercise 03: online softmax.
//
// Task      Softmax needs the largest score and the sum over all keys. But the keys come one at a time, or in
//           parts. A Partial holds the maximum, the sum and the accumulator of the keys seen so far. Merge
//           two Partials. (One key is a Partial too, so `take` below is just a merge.)
// Lesson    1 (softmax), 10 (kernels from k03 on)
// Tests     two keys that you can check with a pencil, in both orders; two halves; no keys at all (no NaN!);
//           scores of ±10000; up to 1000 keys cut at every place, compared with softmax in double precision
//
//   lessons/check 03
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Afterwards `partial` is the Partial of its own keys and the keys of `other`. Each of the two may have seen
/// no key: row_max −∞, row_sum 0, acc 0.
void merge(Partial& partial, const Partial& other) {
  // Your turn: each of the two sums belongs to its own maximum.
  // Now they are added as if the maxima were equal.
  partial.row_max = std::max(partial.row_max, other.row_max);
  partial.row_sum += other.row_sum;
  for (size_t d = 0; d < partial.acc.size(); ++d) partial.acc[d] += other.acc[d];
}

void take(Partial& partial, float score, const std::vector<float>& value) {
  merge(partial, {.row_max = score, .row_sum = 1, .acc = value});  // exp(score − row_max) is 1
}

}  // namespace lastrow::exercises
