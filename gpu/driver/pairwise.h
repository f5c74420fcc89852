// Makes a few rows that show every pair of values: what "quick" means for all combinations of many choices.
//
//   const auto rows = pairwise({10, 6, 5}, seed, can_be);
//   rows[i][d]           the value of choice d in row i, 0 … sizes[d] − 1
//   can_be(row)          whether a row can still become a wanted one; −1 where nothing is chosen yet. It must
//                        be exact: a partial row that it accepts can be completed
//
// Take any value a of choice d and any value b of choice e: if some wanted row has both, a row here has both.
// Most faults need only two values together. The full product also tests three together.
//
// The rows depend only on sizes, seed and can_be. The search is greedy: each row begins with a pair that no
// row has yet. Then, choice by choice, it takes the value that shows most new pairs. The best of some random
// attempts is kept.
// Source: Cohen et al. 1997, "The AETG system: an approach to testing based on combinatorial design".
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace lastrow::driver {

using Row = std::vector<int32_t>;  // one value for each choice

/// The pairs of values that no row shows yet.
class OpenPairs {
 public:
  template <typename CanBe>
  OpenPairs(const std::vector<int32_t>& sizes, const CanBe& can_be) {
    for (const int32_t size : sizes) first_.push_back(std::exchange(n_values_, n_values_ + size));
    open_.assign(static_cast<size_t>(n_values_) * n_values_, false);
    const auto n = static_cast<int32_t>(sizes.size());
    for (int32_t d = 0; d < n; ++d)
      for (int32_t e = d + 1; e < n; ++e)
        for (int32_t a = 0; a < sizes[d]; ++a)
          for (int32_t b = 0; b < sizes[e]; ++b) {
            Row row(sizes.size(), -1);
            row[d] = a, row[e] = b;
            if (can_be(row)) open_[at(d, a, e, b)] = true, ++n_open_;
          }
  }

  int64_t count() const { return n_open_; }
  bool has(int32_t d, int32_t a, int32_t e, int32_t b) const { return open_[at(d, a, e, b)]; }

  /// How many open pairs value a of choice d makes with the values that the row has.
  int32_t gain(const Row& row, int32_t d, int32_t a) const {
    int32_t n = 0;
    for (int32_t e = 0; e < static_cast<int32_t>(row.size()); ++e)
      if (e != d && row[e] >= 0) n += open_[at(d, a, e, row[e])] ? 1 : 0;
    return n;
  }
  void close(const Row& row) {
    for (int32_t d = 0; d < static_cast<int32_t>(row.size()); ++d)
      for (int32_t e = d + 1; e < static_cast<int32_t>(row.size()); ++e)
        if (auto pair = open_[at(d, row[d], e, row[e])]; pair) pair = false, --n_open_;
  }
  /// A row that holds only the n-th open pair.
  Row begin(int64_t n) const {
    for (int32_t d = 0; d < static_cast<int32_t>(first_.size()); ++d)
      for (int32_t e = d + 1; e < static_cast<int32_t>(first_.size()); ++e)
        for (int32_t a = 0; a < size(d); ++a)
          for (int32_t b = 0; b < size(e); ++b)
            if (has(d, a, e, b) && n-- == 0) {
              Row row(first_.size(), -1);
              row[d] = a, row[e] = b;
              return row;
            }
    LASTROW_CHECK(false, "{} pairs are open", n_open_);
  }

 private:
  int32_t size(int32_t d) const {
    return (d + 1 < static_cast<int32_t>(first_.size()) ? first_[d + 1] : n_values_) - first_[d];
  }
  size_t at(int32_t d, int32_t a, int32_t e, int32_t b) const {
    const int32_t x = first_[d] + a, y = first_[e] + b;
    return static_cast<size_t>(std::min(x, y)) * n_values_ + std::max(x, y);
  }
  std::vector<int32_t> first_;  // [choice] the number of its value 0 among the values of all choices
  int32_t n_values_ = 0;
  std::vector<bool> open_;  // [n_values, n_values], the smaller number first
  int64_t n_open_ = 0;
};

/// Completes a row, in a random order of choices. Returns how many open pairs it shows.
template <typename CanBe>
int32_t complete(Row& row, const std::vector<int32_t>& sizes, const OpenPairs& open, Random& random,
                 const CanBe& can_be) {
  std::vector<int32_t> order;
  for (int32_t d = 0; d < static_cast<int32_t>(row.size()); ++d)
    if (row[d] < 0) order.push_back(d);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<size_t>(random.below(static_cast<int64_t>(i)))]);
  int32_t shown = 1;
  for (const int32_t d : order) {
    int32_t best = -1, best_gain = -1;
    const auto first = static_cast<int32_t>(random.below(sizes[d]));
    for (int32_t i = 0; i < sizes[d]; ++i) {
      const int32_t a = (first + i) % sizes[d], gain = open.gain(row, d, a);
      if (gain <= best_gain) continue;
      row[d] = a;
      if (can_be(row)) best = a, best_gain = gain;
      row[d] = -1;
    }
    LASTROW_CHECK(best >= 0, "can_be accepted a row that choice {} cannot complete", d);
    row[d] = best;
    shown += best_gain;
  }
  return shown;
}

template <typename CanBe>
std::vector<Row> pairwise(const std::vector<int32_t>& sizes, uint64_t seed, const CanBe& can_be) {
  constexpr int32_t kAttempts = 16;
  OpenPairs open(sizes, can_be);
  Random random(seed);
  std::vector<Row> rows;
  while (open.count() > 0) {
    Row best;
    int32_t best_shown = 0;
    for (int32_t i = 0; i < kAttempts; ++i) {
      Row row = open.begin(random.below(open.count()));
      const int32_t shown = complete(row, sizes, open, random, can_be);
      if (shown > best_shown) best_shown = shown, best = std::move(row);
    }
    open.close(best);
    rows.push_back(std::move(best));
  }
  return rows;
}

}  // namespace lastrow::driver
