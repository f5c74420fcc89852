// The selection of problems behind `lastrow-kernels --set quick`.
#include <doctest/doctest.h>

#include <set>

#include "gpu/driver/pairwise.h"

namespace lastrow::driver {
namespace {

using Pair = std::array<int32_t, 4>;  // choice, its value, another choice, its value

std::set<Pair> pairs_of(const std::vector<Row>& rows) {
  std::set<Pair> pairs;
  for (const Row& row : rows)
    for (int32_t d = 0; d < static_cast<int32_t>(row.size()); ++d)
      for (int32_t e = d + 1; e < static_cast<int32_t>(row.size()); ++e) pairs.insert({d, row[d], e, row[e]});
  return pairs;
}

bool anything(const Row&) { return true; }

TEST_CASE("three coins: four rows show what eight would") {
  const std::vector<Row> rows = pairwise({2, 2, 2}, 1, anything);
  CHECK(pairs_of(rows).size() == 12);  // 3 pairs of coins, 4 pairs of sides each
  CHECK(rows.size() <= 6);
}

TEST_CASE("every pair is shown, in few more rows than the two largest choices have pairs") {
  const std::vector<int32_t> sizes = {6, 6, 9, 5, 6, 5, 4, 10};
  size_t n_pairs = 0;
  for (size_t d = 0; d < sizes.size(); ++d)
    for (size_t e = d + 1; e < sizes.size(); ++e) n_pairs += static_cast<size_t>(sizes[d]) * sizes[e];
  const std::vector<Row> rows = pairwise(sizes, 1, anything);
  CHECK(pairs_of(rows).size() == n_pairs);
  CHECK(rows.size() >= 90);
  CHECK(rows.size() <= 130);
  CHECK(pairwise(sizes, 1, anything) == rows);
}

TEST_CASE("unwanted rows never appear, and every pair of a wanted row does") {
  // A row is wanted if its first two choices have equal values, so (0, 1) is not a pair of them.
  const auto equal = [](const Row& r) { return r[0] < 0 || r[1] < 0 || r[0] == r[1]; };
  const std::vector<Row> rows = pairwise({3, 3, 4}, 7, equal);
  for (const Row& row : rows) CHECK(row[0] == row[1]);
  CHECK(pairs_of(rows).size() == 3 + 12 + 12);
}

TEST_CASE("with one choice, or no wanted row, there is no pair and no row") {
  CHECK(pairwise({5}, 1, anything).empty());
  CHECK(pairwise({2, 2}, 1, [](const Row&) { return false; }).empty());
}

}  // namespace
}  // namespace lastrow::driver
