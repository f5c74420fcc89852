// Every rung of the ladder, run under the emulator with all its checks on and judged by naive<double>.
#include <doctest/doctest.h>

#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

/// One-hot keys and a large scale: each query picks one value row, which can be read off.
TEST_CASE("a query that fits one key alone takes that key's value") {
  for (const emulated::Rung* rung : emulated::ladder()) {
    INFO(rung->name);
    // Keys e_0 … e_7 and values s + 1 in every place; query 100·e_3 sees all eight.
    const int32_t kv_len = 8, head_dim = 8;
    std::vector<float> q(8), k(64), v(64), out(8, NAN), lse(1, NAN);
    q[3] = 100;
    for (int32_t s = 0; s < kv_len; ++s) {
      k[s * head_dim + s] = 1;
      for (int32_t d = 0; d < head_dim; ++d) v[s * head_dim + d] = static_cast<float>(s + 1);
    }
    const gpu::AttendShape shape{
        .max_kv_len = kv_len, .block_len = kv_len, .blocks_per_seq = 1, .n_blocks = 1};
    if (!rung->supports(shape).empty()) continue;
    attend_by_hand(*rung, shape, q, k, v, out, lse);
    for (const float x : out) CHECK(x == doctest::Approx(4));
    CHECK(lse[0] == doctest::Approx(100));
  }
}

/// Runs a case on every rung that takes it, with every stored type that the rung takes.
void expect_all(AttendCase c) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8}) {
    c.kv_dtype = dtype;
    for (const emulated::Rung* rung : emulated::ladder())
      if (rung->supports(shape_of(c, lay_out(c))).empty()) expect_rung(*rung, c);
  }
}

TEST_CASE("decode of one token: lengths around the tile, groups of every kind") {
  for (const int32_t kv_len : {1, 31, 33, 65, 130})
    expect_all({.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, kv_len}}});
  for (const auto& [n_q, n_kv] : {std::pair{3, 3}, {3, 1}, {8, 2}, {9, 3}, {13, 1}})
    expect_all({.n_q_heads = n_q, .n_kv_heads = n_kv, .head_dim = 16, .sequences = {{1, 40}}});
}

TEST_CASE("every width of a head") {
  for (const int32_t head_dim : {8, 16, 64, 80, 128, 256})
    expect_all({.n_q_heads = 4, .n_kv_heads = 2, .head_dim = head_dim, .sequences = {{1, 37}, {3, 5}}});
}

TEST_CASE("ragged prefill and decode in one batch, with empty sequences and queries that see nothing") {
  expect_all({.n_q_heads = 4,
              .n_kv_heads = 2,
              .head_dim = 16,
              .sequences = {{1, 33}, {0, 5}, {7, 7}, {17, 40}, {1, 1}}});
  expect_all({.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 16, .sequences = {{5, 2}, {1, 0}}});
}

TEST_CASE("blocks of any length in any order, windows, no mask") {
  for (const int32_t block_len : {1, 16, 31, 64})
    expect_all({.n_q_heads = 4,
                .n_kv_heads = 2,
                .head_dim = 32,
                .sequences = {{1, 70}, {9, 33}},
                .block_len = block_len,
                .block_order = 7});
  expect_all(
      {.n_q_heads = 2, .n_kv_heads = 2, .head_dim = 16, .sequences = {{1, 70}, {9, 33}}, .mask = {true, 5}});
  expect_all({.n_q_heads = 2, .n_kv_heads = 2, .head_dim = 16, .sequences = {{6, 33}}, .mask = {false, 0}});
}

TEST_CASE("scores of ten thousand") {
  expect_all(
      {.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 64, .sequences = {{1, 50}, {4, 4}}, .score_scale = 1e4f});
}

TEST_CASE("block length and order change no bit; nor does running again") {
  for (const emulated::Rung* rung : emulated::ladder()) {
    INFO(rung->name);
    AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 150}, {20, 40}}};
    if (!rung->supports(shape_of(c, lay_out(c))).empty()) c.kv_dtype = DType::f16;
    const AttendResult plain = run_rung(*rung, c, {}).result;
    CHECK(run_rung(*rung, c, {}).result.out == plain.out);
    for (const int32_t block_len : {16, 64, 150}) {
      c.block_len = block_len;
      c.block_order = 3;
      const AttendResult paged = run_rung(*rung, c, {}).result;
      CHECK(paged.out == plain.out);
      CHECK(paged.lse == plain.lse);
    }
  }
}

}  // namespace
}  // namespace lastrow::testing
