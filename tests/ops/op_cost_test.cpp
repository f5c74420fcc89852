// The formula of each operation, counted by hand.
#include <doctest/doctest.h>

#include "ops/op.h"
#include "ops/stored_rows.h"

using namespace lastrow;

TEST_CASE("tiny operations, counted by hand") {
  // [2 rows, 3] · [5, 3]ᵀ: 10 dot products of 3 multiply-adds; 15 weights of 2 bytes; 6 + 10 floats.
  CHECK(cost::linear(2, 3, 5, false, 2) == OpCost{.flop = 60, .weight_bytes = 30, .activation_bytes = 64});
  CHECK(cost::linear(2, 3, 5, true, 2) == OpCost{.flop = 70, .weight_bytes = 40, .activation_bytes = 64});
  // 2 rows of 4. For each row: 8 for squares and sums, 4 for scalars, 8 for two products per element.
  CHECK(cost::rms_norm(2, 4, 4) == OpCost{.flop = 40, .weight_bytes = 16, .activation_bytes = 64});
  CHECK(cost::layer_norm(1, 4, 4) == OpCost{.flop = 33, .weight_bytes = 32, .activation_bytes = 32});
  // One head of 4 is two pairs: 8 multiplications, 4 additions; 4 floats in, 4 out, 4 sines and cosines.
  CHECK(cost::rope(1, 1, 4) == OpCost{.flop = 12, .activation_bytes = 48});
  CHECK(cost::embed(3, 8, 2) == OpCost{.weight_bytes = 48, .activation_bytes = 3 * 4 + 3 * 8 * 4});
  // A table of 2-byte elements: 3 of its rows of 8 are added in place to 3 rows; 3 positions.
  CHECK(cost::embed_positions(3, 8, 2) ==
        OpCost{.flop = 24, .weight_bytes = 48, .activation_bytes = 3 * 4 + 2 * 3 * 8 * 4});
  CHECK(cost::swiglu(2, 5) == OpCost{.flop = 40, .activation_bytes = 120});
  CHECK(cost::gelu(1, 5) == OpCost{.flop = 45, .activation_bytes = 40});
  CHECK(cost::add(2, 5) == OpCost{.flop = 10, .activation_bytes = 120});
  CHECK(cost::gather_rows(2, 5) == OpCost{.activation_bytes = 2 * 4 + 2 * 2 * 5 * 4});
  CHECK(cost::argmax(2, 10) == OpCost{.flop = 18, .activation_bytes = 80 + 8});
}

TEST_CASE("tiny attention, counted by hand") {
  // One token, appended to a cache of 2 K/V heads of 4, f16: K and V have 8 elements each.
  CHECK(cost::append(1, 2, 4, {2}, {2}) == OpCost{.cache_bytes_written = 32, .activation_bytes = 64});
  // K in int8 with a scale of 4 bytes, V in f16: 2 rows of 8 bytes each, for K and for V.
  CHECK(cost::append(1, 2, 4, {1, 4}, {2}) ==
        OpCost{.cache_bytes_written = 2 * 8 + 2 * 8, .activation_bytes = 64});
  CHECK(cost::write_rows(1, 2, 4, {2}) == OpCost{.cache_bytes_written = 16, .activation_bytes = 32});
  // Its query has 4 heads and sees 3 keys: 4·3·8 flop for q·k, and the same for p·v. Each of the 3 rows of K
  // and V is read once for each of the 2 K/V heads, although 2 query heads use it.
  const OpCost c = cost::attend({.visible_cells = cost::visible_cells(1, 3, true),
                                 .kv_rows = cost::visible_rows(1, 3, true),
                                 .n_tokens = 1,
                                 .n_q_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_dim = 4,
                                 .k = {2},
                                 .v = {2}});
  CHECK(c.flop == 192);
  CHECK(c.cache_bytes_read == 2 * 3 * 2 * 4 * 2);
  CHECK(c.cache_bytes_written == 0);
  CHECK(c.activation_bytes == 16 * 4 + 16 * 4 + 4 * 4);  // q, out, lse
  // Two blocks of 16 slots in 3 layers.
  CHECK(cost::copy_blocks(2, 16, 3, 2, 4, {2}, {2}) ==
        OpCost{.cache_bytes_read = 3072, .cache_bytes_written = 3072});
}

TEST_CASE("an operation on no rows costs nothing") {
  CHECK(cost::linear(0, 3, 5, true, 2) == OpCost{});
  CHECK(cost::rms_norm(0, 4, 4) == OpCost{});
  CHECK(cost::layer_norm(0, 4, 4) == OpCost{});
  CHECK(cost::embed(0, 8, 2) == OpCost{});
  CHECK(cost::argmax(0, 10) == OpCost{});
  CHECK(cost::attend({}) == OpCost{});
}
