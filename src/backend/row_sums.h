// The two sums of attention over rows that may lie anywhere in memory: scores and weighted sums. This is the
// clear text of what vector_rows.h does faster.
//
//   const float* rows[n] = …;                      one pointer for each row [head_dim]
//   dot_rows(rows, n, q, head_dim, scores);        scores[i] = rows[i] · q
//   add_rows(rows, n, weights, head_dim, acc);     acc += Σ_i weights[i] rows[i]
//
// Rows of a paged cache lie in several blocks. An Eigen product would need a copy of them, and the copy takes
// longer than the product.
//
// Invariant: the order of every sum depends on n and head_dim only. So it does not matter where the rows are.
// A score does not even depend on n: each row is summed alone, four at a time because that hides the time
// that an addition takes.
#pragma once

#include <cstdint>

#include "backend/lanes.h"

namespace lastrow {

template <int kRows>
void dot_some_rows(const float* const* rows, const float* q, int64_t head_dim, float* scores) {
  Lanes sums[kRows];
  for (Lanes& sum : sums) sum.setZero();
  int64_t d = 0;
  for (; d + kLanes <= head_dim; d += kLanes) {
    const Lanes x = ConstLanes(q + d);
    for (int i = 0; i < kRows; ++i) sums[i] += ConstLanes(rows[i] + d) * x;
  }
  for (int i = 0; i < kRows; ++i) {
    float rest = 0;
    for (int64_t e = d; e < head_dim; ++e) rest += rows[i][e] * q[e];
    scores[i] = sums[i].sum() + rest;
  }
}

/// scores[i] = rows[i] · q.   rows [n] of [head_dim]   q [head_dim]   scores [n]
inline void dot_rows(const float* const* rows, int32_t n, const float* q, int64_t head_dim, float* scores) {
  constexpr int32_t kRows = 4;
  int32_t i = 0;
  for (; i + kRows <= n; i += kRows) dot_some_rows<kRows>(rows + i, q, head_dim, scores + i);
  for (; i < n; ++i) dot_some_rows<1>(rows + i, q, head_dim, scores + i);
}

/// Elements [first, first + kVectors · kLanes) of add_rows.
template <int kVectors>
void add_some_elements(const float* const* rows, int32_t n, const float* weights, int64_t first, float* acc) {
  Lanes sums[kVectors];
  for (Lanes& sum : sums) sum.setZero();
  for (int32_t i = 0; i < n; ++i)
    for (int j = 0; j < kVectors; ++j) sums[j] += weights[i] * ConstLanes(rows[i] + first + j * kLanes);
  for (int j = 0; j < kVectors; ++j) Eigen::Map<Lanes>(acc + first + j * kLanes) += sums[j];
}

/// acc += Σ_i weights[i] rows[i].   rows [n] of [head_dim]   weights [n]   acc [head_dim]
inline void add_rows(const float* const* rows, int32_t n, const float* weights, int64_t head_dim,
                     float* acc) {
  constexpr int kVectors = 4;
  int64_t d = 0;
  for (; d + kVectors * kLanes <= head_dim; d += kVectors * kLanes)
    add_some_elements<kVectors>(rows, n, weights, d, acc);
  for (; d + kLanes <= head_dim; d += kLanes) add_some_elements<1>(rows, n, weights, d, acc);
  if (d == head_dim) return;
  Lanes rest = Lanes::Zero();
  for (int32_t i = 0; i < n; ++i)
    for (int64_t e = d; e < head_dim; ++e) rest[e - d] += weights[i] * rows[i][e];
  for (int64_t e = d; e < head_dim; ++e) acc[e] += rest[e - d];
}

}  // namespace lastrow
