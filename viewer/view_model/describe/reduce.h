// The weights of one head, reduced to a small square, because a long text has more rows than a screen.
//
//   WeightReducer reducer(n_tokens);
//   reducer.add_row(position, weights);      any rows, in any order, each once
//   ReducedWeights w = reducer.take();
//   w.at(row_bin, column_bin)
//
// Rows and columns have the same bins: bin b covers the tokens first(b) … first(b + 1) − 1. A cell says what
// the average row of its row bin puts on all keys of its column bin together. Only rows that were added count.
// So a row of cells sums to 1, or to 0 if none of its rows was added.
// Masked cells have weight 0 and add nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lastrow::view {

struct ReducedWeights {
  static constexpr int kMaxBins = 64;

  int n_tokens = 0, bins = 0;  // bins = min(n_tokens, kMaxBins)
  std::vector<float> weights;  // [bins, bins]  0 where nothing is visible or no row was added
  std::vector<int> n_rows;     // [bins]        rows that were added

  float at(int row_bin, int column_bin) const {
    return weights[static_cast<size_t>(row_bin) * static_cast<size_t>(bins) +
                   static_cast<size_t>(column_bin)];
  }
  /// The first token of a bin; first(bins) == n_tokens.
  int first(int bin) const { return static_cast<int>(int64_t{bin} * n_tokens / bins); }
  /// The bin of a token.
  int bin_of(int token) const { return static_cast<int>(((int64_t{token} + 1) * bins - 1) / n_tokens); }
};

class WeightReducer {
 public:
  explicit WeightReducer(int n_tokens);
  /// Adds the weights [position + 1] that the query at `position` puts on keys 0 … position.
  void add_row(int position, const float* weights);
  /// The result. Do not use the reducer afterwards.
  ReducedWeights take();

 private:
  ReducedWeights out_;
  std::vector<double> sums_;  // [bins, bins]
};

}  // namespace lastrow::view
