// K and V in different types, and in 4 bits: k13 takes every pair, k09 the one that has its own kernel.
#include <doctest/doctest.h>

#include <string_view>

#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16,  DType::bf16, DType::fp8_e4m3,
                            DType::i8,  DType::i4x2, DType::fp4x2};
constexpr KvDtypes kInt8AndFp8{DType::i8, DType::fp8_e4m3};

/// Pages in another order, a window, and queries that see nothing.
AttendCase ragged(KvDtypes types, int32_t head_dim) {
  return {.n_q_heads = 6,
          .n_kv_heads = 2,
          .head_dim = head_dim,
          .sequences = {{1, 33}, {0, 5}, {2, 1}, {3, 20}},
          .mask = {.window = 18},
          .block_len = 16,
          .block_order = 3,
          .kv_dtype = types};
}

TEST_CASE("k13 takes all 49 pairs of types, within the tolerance rule") {
  for (const DType k : kTypes)
    for (const DType v : kTypes) expect_rung(emulated::k13, ragged({k, v}, 16));
}

TEST_CASE("4 bits: every width of a head, with a shorter last group of a scale or without") {
  for (const int32_t head_dim : {8, 24, 32, 40, 80, 128, 256})
    for (const KvDtypes types : {KvDtypes(DType::i4x2), KvDtypes(DType::fp4x2, DType::i8)}) {
      expect_rung(emulated::k13, ragged(types, head_dim));
      expect_rung(
          emulated::k13,
          {.n_q_heads = 3, .n_kv_heads = 3, .head_dim = head_dim, .sequences = {{1, 70}}, .kv_dtype = types});
    }
}

TEST_CASE("a cache of 4 bits is split over blocks like any other") {
  for (const int32_t n_splits : {1, 3})
    expect_rung(emulated::k13, {.n_q_heads = 4,
                                .sequences = {{1, 300}},
                                .block_len = 16,
                                .kv_dtype = {DType::i8, DType::fp4x2},
                                .n_splits = n_splits});
}

TEST_CASE("k09 has a kernel for K in int8 and V in fp8") {
  for (const int32_t head_dim : {12, 16, 64, 80, 256})
    expect_rung(emulated::k09, ragged(kInt8AndFp8, head_dim));
}

TEST_CASE("k13 reads each row of K and of V once, in its own type") {
  const auto bytes = [](KvDtypes types, std::string_view array) {
    const AttendCase c{
        .n_q_heads = 4, .n_kv_heads = 2, .head_dim = 80, .sequences = {{1, 50}}, .kv_dtype = types};
    const Ran ran = run_rung(emulated::k13, c, {.report = true, .n_sample_blocks = 1000});
    int64_t sum = 0;
    for (const simt::SiteTraffic& site : ran.traffic.at(0).sites) sum += site.array == array ? site.bytes : 0;
    return sum;
  };
  constexpr int64_t kRows = 50 * 2;  // of two heads
  for (const DType k : kTypes)
    for (const DType v : {DType::f32, DType::i4x2}) {
      const auto elems = [](DType type) {
        return stored_row_bytes(type, 80) - n_scales(type, 80) * scale_bytes(type);
      };
      CHECK(bytes({k, v}, "g_k") == kRows * elems(k));
      CHECK(bytes({k, v}, "g_v") == kRows * elems(v));
    }
}

TEST_CASE("which rung is chosen for a pair, and why a shape is refused") {
  const auto chosen = [](KvDtypes types, int32_t max_q_len, int32_t head_dim = 64) -> const emulated::Rung& {
    return emulated::choose(
        gpu::AttendShape{.n_q_heads = 8, .head_dim = head_dim, .kv_dtype = types, .max_q_len = max_q_len});
  };
  const auto name = [&](KvDtypes types, int32_t max_q_len) {
    return std::string(chosen(types, max_q_len).name);
  };
  for (const int32_t max_q_len : {1, 100}) {
    CHECK(name(kInt8AndFp8, max_q_len) == "k09");
    CHECK(name({DType::fp8_e4m3, DType::i8}, max_q_len) == "k13");
    CHECK(name({DType::i8, DType::fp4x2}, max_q_len) == "k13");
    CHECK(name(DType::i4x2, max_q_len) == "k13");
    CHECK(name(DType::fp4x2, max_q_len) == "k13");
  }
  const gpu::AttendShape odd{.head_dim = 12, .kv_dtype = DType::i4x2};
  CHECK(emulated::choose(odd).supports(odd) == "it needs head_dim that is a multiple of 8");
  for (const emulated::Rung* rung : emulated::ladder()) {
    if (rung->takes_pairs) continue;
    CHECK(rung->supports(gpu::AttendShape{.head_dim = 64, .kv_dtype = kInt8AndFp8}) ==
          "it needs K and V in the same type");
    CHECK(rung->supports(gpu::AttendShape{.head_dim = 64, .kv_dtype = DType::i4x2}) ==
          "it needs K/V with 8 bits or more");
  }
}

}  // namespace
}  // namespace lastrow::testing
