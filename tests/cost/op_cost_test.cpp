#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "attention/mask.h"
#include "cost/op_cost.h"

using namespace lastrow;

TEST_CASE("costs add up, field by field") {
  const OpCost a{1, 2, 3, 4, 5}, b{10, 20, 30, 40, 50};
  CHECK(a + b == OpCost{11, 22, 33, 44, 55});
  CHECK(3 * a == a + a + a);
  CHECK(b.bytes() == 140);
  OpCost sum;
  sum += a;
  CHECK(sum == a);
  CHECK_FALSE(a == b);
}

TEST_CASE("cells of a causal step, drawn") {
  // q_len 3 over kv_len 5, bottom-right:      window 2:
  //   x x x . .                                  . x x . .
  //   x x x x .                                  . . x x .
  //   x x x x x                                  . . . x x
  CHECK(cost::visible_cells(3, 5, true) == 12);
  CHECK(cost::visible_rows(3, 5, true) == 5);
  CHECK(cost::visible_cells(3, 5, true, 2) == 6);
  CHECK(cost::visible_rows(3, 5, true, 2) == 4);
  CHECK(cost::visible_cells(3, 5, false) == 15);
  // More queries than keys: the first two queries see no key.
  CHECK(cost::visible_cells(4, 2, true) == 3);
  CHECK(cost::visible_rows(4, 2, true) == 2);
}

TEST_CASE("cells and rows agree with the mask rule, query by query") {
  for (const int q_len : {0, 1, 2, 3, 7, 31, 33, 64})
    for (const int kv_len : {0, 1, 2, 3, 5, 31, 33, 65})
      for (const int window : {0, 1, 2, 5, 32, 1000})
        for (const int sinks : {0, 1, 4, 40})
          for (const bool causal : {true, false}) {
            const MaskRule mask{causal, window, sinks};
            int64_t cells = 0;
            std::set<int> rows;
            for (int t = 0; t < q_len; ++t) {
              const VisibleKeys keys = visible_keys(mask, q_len, kv_len, t);
              cells += keys.count();
              for (int i = 0; i < keys.count(); ++i) rows.insert(keys.index(i));
            }
            INFO("q_len ", q_len, " kv_len ", kv_len, " window ", window, " sinks ", sinks, " causal ",
                 causal);
            REQUIRE(cost::visible_cells(q_len, kv_len, causal, mask.most_keys()) == cells);
            REQUIRE(cost::visible_rows(q_len, kv_len, causal, mask.most_keys()) ==
                    static_cast<int64_t>(rows.size()));
          }
}

TEST_CASE("a prefill has as many cells as its single decodes together, at any length") {
  for (const int64_t window : {0, 3, 4096})
    for (const int64_t n : {1, 2, 100, 8192}) {
      int64_t sum = 0;
      for (int64_t len = 1; len <= n; ++len) sum += cost::visible_cells(1, len, true, window);
      REQUIRE(cost::visible_cells(n, n, true, window) == sum);
    }
  CHECK(cost::visible_cells(1'000'000, 1'000'000, true) == 500'000'500'000);
}
