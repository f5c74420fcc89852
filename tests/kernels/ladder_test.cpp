// Every rung of the ladder, run under the emulator with all its checks on and judged by naive<double>.
#include <doctest/doctest.h>

#include <set>

#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

/// With one-hot keys and a large scale, each query picks one value row, so the answer can be read by eye.
TEST_CASE("a query that matches only one key takes that key's value") {
  // Keys e_0 … e_7; the value of key s is s + 1 in every place; query 100·e_3 sees all eight keys.
  constexpr int32_t n = 8;  // keys, head_dim
  std::vector<float> q(n), k(n * n), v(n * n);
  q[3] = 100;
  for (int32_t s = 0; s < n; ++s) {
    k[s * n + s] = 1;
    for (int32_t d = 0; d < n; ++d) v[s * n + d] = static_cast<float>(s + 1);
  }
  for (const emulated::Rung* rung : exact_rungs()) {
    int32_t n_types = 0;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
      const gpu::AttendShape shape{.head_dim = n, .kv_dtype = dtype, .max_kv_len = n, .block_len = n};
      if (!rung->supports(shape).empty()) continue;
      INFO(rung->name, " ", name_of(dtype));
      ++n_types;
      const auto [out, lse] = attend_by_hand(*rung, shape, {.score = {.scale = 1}, .mask = {}}, q, k, v);
      for (const float x : out) CHECK(x == doctest::Approx(4));
      CHECK(lse[0] == doctest::Approx(100));
    }
    CHECK_MESSAGE(n_types >= 2, rung->name);
  }
}

/// Runs a case on every rung, with every stored type that the rung takes.
void expect_all(AttendCase c) {
  for (const emulated::Rung* rung : exact_rungs()) {
    bool ran = false;
    for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8}) {
      c.kv_dtype = dtype;
      if (!rung->supports(task_of(c, lay_out(c))).empty()) continue;
      expect_rung(*rung, c);
      ran = true;
    }
    const std::string name = rung->name;
    const bool too_wide = c.head_dim > 128 && (name == "k07b" || (name >= "k11" && name != "k13"));
    CHECK_MESSAGE(ran == !too_wide, rung->name);
  }
}

TEST_CASE("a step without a token launches nothing") {
  for (const emulated::Rung* rung : exact_rungs()) {
    INFO(rung->name);
    AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 16, .sequences = {{0, 5}, {0, 0}}};
    c.kv_dtype = widest_type(*rung, task_of(c, lay_out(c)));
    CHECK(run_rung(*rung, c, {.report = true}).traffic.empty());
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

TEST_CASE("block length, block order and a second run change no bit") {
  for (const emulated::Rung* rung : exact_rungs()) {
    INFO(rung->name);
    AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 150}, {20, 40}}};
    c.kv_dtype = widest_type(*rung, task_of(c, lay_out(c)));
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

/// A rung that rounds takes one problem at a time like any other, and is judged by the rule for rounded products.
TEST_CASE("rungs that round q and p hold their own bound, and refuse to be asked for more") {
  for (const emulated::Rung* rung : emulated::ladder()) {
    if (!rung->rounds) continue;
    for (const AttendCase& c :
         {AttendCase{.n_q_heads = 8, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 150}}},
          AttendCase{.n_q_heads = 4,
          .n_kv_heads = 2,
          .head_dim = 56,
          .sequences = {{1, 33}, {0, 5}, {70, 70}, {5, 2}, {17, 200}},
          .mask = {true, 90},
          .block_len = 31,
          .block_order = 7}}) {
      AttendCase narrow = c;
      narrow.kv_dtype = DType::bf16;
      INFO(rung->name, ": ", describe(narrow));
      const JudgedCase judged = judged_case(narrow, Products::rounded);
      gpu::AttendTask task = task_of(narrow, judged.layout);
      CHECK(rung->supports(task) == "it needs n_parts 1, as it rounds q and p");
      const auto rounded = [](gpu::AttendTask& t) { t.tuning.n_parts = 1; };
      rounded(task);
      REQUIRE(rung->supports(task) == "");
      const Ran ran =
          run_rung(*rung, narrow, judged.layout, *judged.storage, judged.q, {.check = true}, rounded);
      const Verdict v = verdict(judged, ran.result);
      const std::string text = v.to_string();
      CHECK_MESSAGE(v.ok(), text);
    }
  }
}

TEST_CASE("each rung names an earlier one as its parent, except the first") {
  std::set<std::string> earlier;
  for (const emulated::Rung* rung : emulated::ladder()) {
    CHECK_MESSAGE(earlier.contains(rung->parent) == (rung != &emulated::k01), rung->name);
    earlier.insert(rung->name);
  }
}

}  // namespace
}  // namespace lastrow::testing
