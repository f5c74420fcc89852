#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "attention/mask.h"
#include "cost/op_cost.h"

using namespace lastrow;

TEST_CASE("tiny operations, counted by hand") {
  // [2 rows, 3] · [5, 3]ᵀ: 10 dot products of 3 multiply-adds; 15 weights of 2 bytes; 6 + 10 floats.
  CHECK(cost::linear(2, 3, 5, false, 2) == OpCost{.flop = 60, .weight_bytes = 30, .activation_bytes = 64});
  CHECK(cost::linear(2, 3, 5, true, 2) == OpCost{.flop = 70, .weight_bytes = 40, .activation_bytes = 64});
  // 2 rows of 4: squares and sums 8, four scalars, two products an element 8.
  CHECK(cost::rms_norm(2, 4, 4) == OpCost{.flop = 40, .weight_bytes = 16, .activation_bytes = 64});
  CHECK(cost::layer_norm(1, 4, 4) == OpCost{.flop = 33, .weight_bytes = 32, .activation_bytes = 32});
  // One head of 4 is two pairs: 8 multiplications, 4 additions; 4 floats in, 4 out, 4 sines and cosines.
  CHECK(cost::rope(1, 1, 4) == OpCost{.flop = 12, .activation_bytes = 48});
  CHECK(cost::embed(3, 8, 2) == OpCost{.weight_bytes = 48, .activation_bytes = 3 * 4 + 3 * 8 * 4});
  CHECK(cost::swiglu(2, 5) == OpCost{.flop = 40, .activation_bytes = 120});
  CHECK(cost::gelu(1, 5) == OpCost{.flop = 45, .activation_bytes = 40});
  CHECK(cost::add(2, 5) == OpCost{.flop = 10, .activation_bytes = 120});
  CHECK(cost::gather_rows(2, 5) == OpCost{.activation_bytes = 2 * 4 + 2 * 2 * 5 * 4});
  CHECK(cost::argmax(2, 10) == OpCost{.flop = 18, .activation_bytes = 80 + 8});
}

TEST_CASE("tiny attention, counted by hand") {
  // One token to a cache of 2 K/V heads of 4, f16: K and V are 8 elements each.
  CHECK(cost::append(1, 2, 4, 2) == OpCost{.cache_bytes_written = 32, .activation_bytes = 64});
  CHECK(cost::write_rows(1, 2, 4, 2) == OpCost{.cache_bytes_written = 16, .activation_bytes = 32});
  // Its query has 4 heads and sees 3 keys: q·k is 4·3·8 flop, p·v as much. Each of the 3 rows of K and of V
  // is read once for each of 2 K/V heads, though 2 query heads share it.
  const OpCost c = cost::attend({.visible_cells = cost::visible_cells(1, 3, true),
                                 .kv_rows = cost::visible_rows(1, 3, true),
                                 .n_tokens = 1,
                                 .n_q_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_dim = 4,
                                 .cache_elem_bytes = 2});
  CHECK(c.flop == 192);
  CHECK(c.cache_bytes_read == 2 * 3 * 2 * 4 * 2);
  CHECK(c.cache_bytes_written == 0);
  CHECK(c.activation_bytes == 16 * 4 + 16 * 4 + 4 * 4);  // q, out, lse
  // Two blocks of 16 slots in 3 layers.
  CHECK(cost::copy_blocks(2, 16, 3, 2, 4, 2) ==
        OpCost{.cache_bytes_read = 3072, .cache_bytes_written = 3072});
}

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

TEST_CASE("nothing costs nothing") {
  CHECK(cost::linear(0, 3, 5, true, 2) == OpCost{});
  CHECK(cost::rms_norm(0, 4, 4) == OpCost{});
  CHECK(cost::layer_norm(0, 4, 4) == OpCost{});
  CHECK(cost::embed(0, 8, 2) == OpCost{});
  CHECK(cost::argmax(0, 10) == OpCost{});
  CHECK(cost::attend({}) == OpCost{});
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
  // More queries than keys: the first two see nothing.
  CHECK(cost::visible_cells(4, 2, true) == 3);
  CHECK(cost::visible_rows(4, 2, true) == 2);
}

TEST_CASE("cells and rows agree with the mask rule, query by query") {
  for (const int q_len : {0, 1, 2, 3, 7, 31, 33, 64})
    for (const int kv_len : {0, 1, 2, 3, 5, 31, 33, 65})
      for (const int window : {0, 1, 2, 5, 32, 1000})
        for (const bool causal : {true, false}) {
          int64_t cells = 0;
          std::set<int> rows;
          for (int t = 0; t < q_len; ++t) {
            const KeyRange range = visible_keys({causal, window}, q_len, kv_len, t);
            cells += range.end - range.begin;
            for (int s = range.begin; s < range.end; ++s) rows.insert(s);
          }
          INFO("q_len ", q_len, " kv_len ", kv_len, " window ", window, " causal ", causal);
          REQUIRE(cost::visible_cells(q_len, kv_len, causal, window) == cells);
          REQUIRE(cost::visible_rows(q_len, kv_len, causal, window) == static_cast<int64_t>(rows.size()));
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
