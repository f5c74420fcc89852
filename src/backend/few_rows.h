// A linear layer for a few rows: the decode step of a small batch.
//
//   FewRows x(rows, n_rows, n_in, room);              2 ≤ n_rows ≤ kMost; copies the rows once
//   x.times(weights, n_weights, out, n_out);          for each panel of weight rows, on any thread
//
// One row waits for the weights to come from memory. A few rows should take hardly longer, because each weight
// is read once for all of them. A general matrix product first copies the weights into another order, which
// pays only if many rows use them.
//
// Four weight rows and four rows of x are multiplied at once: 16 sums, each of kLanes lanes. The lanes of four
// rows of x lie side by side in the copy. In the original they are one row apart, which for most models is a
// power of two, and then they would share the same few places of the processor's cache.
//
// Invariant: the order in which an output is summed depends on n_in only.
#pragma once

#include <algorithm>
#include <vector>

#include "backend/lanes.h"

namespace lastrow {

class FewRows {
 public:
  static constexpr int64_t kMost = 8;

  /// rows [n_rows, n_in]. They and `room` must live as long as this.
  FewRows(const float* rows, int64_t n_rows, int64_t n_in, std::vector<float>& room)
      : rows_(rows), n_rows_(n_rows), n_in_(n_in) {
    const size_t n_floats = static_cast<size_t>(n_groups() * group_floats());
    if (room.size() < n_floats) room.resize(n_floats);
    packed_ = room.data();
    for (int64_t t = 0; t < n_groups() * kGroup; ++t) {
      float* to = room.data() + t / kGroup * group_floats() + t % kGroup * kLanes;
      for (int64_t i = 0; i < n_vectors(); ++i, to += kGroup * kLanes)
        if (t < n_rows_)
          std::copy_n(rows + t * n_in + i * kLanes, kLanes, to);
        else
          std::fill_n(to, kLanes, 0.0f);  // a group is always computed whole
    }
  }

  /// out[t,j] = Σ_i x[t,i] weights[j,i].   weights [n_weights, n_in]   row t of out begins at out + t · n_out
  void times(const float* weights, int64_t n_weights, float* out, int64_t n_out) const {
    int64_t j = 0;
    for (; j + kGroup <= n_weights; j += kGroup) block<kGroup>(weights + j * n_in_, out + j, n_out);
    for (; j < n_weights; ++j) block<1>(weights + j * n_in_, out + j, n_out);
  }

 private:
  static constexpr int64_t kGroup = 4;

  int64_t n_groups() const { return (n_rows_ + kGroup - 1) / kGroup; }
  int64_t n_vectors() const { return n_in_ / kLanes; }
  int64_t group_floats() const { return n_vectors() * kGroup * kLanes; }

  /// The outputs of kWeights rows of weights for all rows of x.
  template <int64_t kWeights>
  void block(const float* weights, float* out, int64_t n_out) const {
    for (int64_t first = 0; first < n_rows_; first += kGroup) {
      Lanes sums[kWeights * kGroup];
      for (Lanes& sum : sums) sum.setZero();
      const float* x = packed_ + first / kGroup * group_floats();
      for (int64_t i = 0; i < n_vectors(); ++i, x += kGroup * kLanes) {
        Lanes w[kWeights];
        for (int64_t j = 0; j < kWeights; ++j) w[j] = ConstLanes(weights + j * n_in_ + i * kLanes);
        for (int64_t t = 0; t < kGroup; ++t) {
          const Lanes row = ConstLanes(x + t * kLanes);
          for (int64_t j = 0; j < kWeights; ++j) sums[j * kGroup + t] += w[j] * row;
        }
      }
      for (int64_t t = 0; t < std::min(kGroup, n_rows_ - first); ++t)
        for (int64_t j = 0; j < kWeights; ++j)
          out[(first + t) * n_out + j] =
              sums[j * kGroup + t].sum() + rest(weights + j * n_in_, rows_ + (first + t) * n_in_);
    }
  }

  /// The terms behind the last whole vector.
  float rest(const float* weights, const float* row) const {
    float sum = 0;
    for (int64_t i = n_vectors() * kLanes; i < n_in_; ++i) sum += weights[i] * row[i];
    return sum;
  }

  const float* rows_;    // [n_rows, n_in]
  const float* packed_;  // [n_groups, n_vectors, kGroup, kLanes]
  int64_t n_rows_, n_in_;
};

}  // namespace lastrow
