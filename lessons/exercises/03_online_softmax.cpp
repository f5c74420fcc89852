// Exercise 03: online softmax.
//
// Asked     Softmax needs the largest score and the sum over all keys, yet keys come one at a time, or in
//           pieces. Keep a maximum, a sum and an accumulator of those seen so far, and merge two of them.
//           One key is a Partial as well, so that `take` below is a merge: it is done.
// Met in    lesson 1 (softmax), lesson 10 (kernels from k03 on)
// Tried     two keys with a pencil, in both orders; two halves; keys of which there are none (no NaN!);
//           scores of ±10000; up to 1000 keys cut at every place, against softmax in double precision
//
//   lessons/check 03
#include <algorithm>
#include <cmath>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// Afterwards `partial` is what it would be had it seen its own keys and those of `other`. Either may have
/// seen none: row_max −∞, row_sum 0, acc 0.
void merge(Partial& partial, const Partial& other) {
  // Your turn: the two sides have sums taken under two maxima. Now they are added as if it were one.
  partial.row_max = std::max(partial.row_max, other.row_max);
  partial.row_sum += other.row_sum;
  for (size_t d = 0; d < partial.acc.size(); ++d) partial.acc[d] += other.acc[d];
}

void take(Partial& partial, float score, const std::vector<float>& value) {
  merge(partial, {.row_max = score, .row_sum = 1, .acc = value});  // exp(score − row_max) is 1
}

}  // namespace lastrow::exercises
