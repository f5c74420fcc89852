// How products q · k become scores (attention/score.h), for the operations of EigenBackend that look at keys.
//
//   const Scores scores{spec.score, first_head, {batch, sequence, token}};
//   scores.finish(x, begin, n, j);                                  x [n]: products become scores, in place
#pragma once

#include <Eigen/Core>

#include "attention/score.h"
#include "ops/batch.h"

namespace lastrow {

/// What makes scores from the products q · k of one token and one K/V head.
struct Scores {
  const ScoreRule& rule;
  int32_t first_head;  // of the group
  KeyDistances distance;

  /// x [n]: the products of head first_head + j with the keys begin, begin + 1, …; they become scores.
  void finish(float* x, int32_t begin, int32_t n, int32_t j) const {
    Eigen::Map<Eigen::ArrayXf>(x, n) *= rule.query_factor();
    if (rule.only_scales()) return;
    const float slope = rule.slope(first_head + j);
    for (int32_t i = 0; i < n; ++i) x[i] = rule.finish(x[i], slope, distance(begin + i));
  }
};

}  // namespace lastrow
