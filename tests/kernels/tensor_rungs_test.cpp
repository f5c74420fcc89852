// k11 and k12: products on tensor cores. What each multiplies, how exactly, and the traffic that its header
// claims.
#include <doctest/doctest.h>

#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

const emulated::Rung* const kOnTensorCores[] = {&emulated::k11, &emulated::k12};
constexpr DType kNarrow[] = {DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8};

/// k11 takes K/V of 8 bits, k12 does not.
bool takes(const emulated::Rung& rung, DType dtype) {
  return rung.supports(gpu::AttendShape{.head_dim = 16, .kv_dtype = dtype}).empty();
}

simt::KernelTraffic report(const emulated::Rung& rung, const AttendCase& c) {
  return run_rung(rung, c, {.report = true, .n_sample_blocks = 1000}).traffic.at(0);
}

int64_t bytes_of(const simt::KernelTraffic& k, std::string_view array) {
  int64_t bytes = 0;
  for (const simt::SiteTraffic& site : k.sites)
    if (site.array == array) bytes += site.bytes;
  return bytes;
}

/// Keys e_0 … e_7 with values s + 1. The query of head h is 100·e_h, so it takes only key h.
TEST_CASE("eight heads of one group that each match one key take that key's value") {
  for (const emulated::Rung* rung : kOnTensorCores)
    for (const DType dtype : kNarrow) {
      if (!takes(*rung, dtype)) continue;
      const std::string what = fmt::format("{} {}", rung->name, name_of(dtype));
      INFO(what);
      constexpr int32_t n = 8;  // heads and keys
      const int32_t head_dim = size_of(dtype) == 1 ? 16 : 8;
      std::vector<float> q(n * head_dim), k(n * head_dim), v(n * head_dim);
      for (int32_t s = 0; s < n; ++s) {
        q[s * head_dim + s] = 100;
        k[s * head_dim + s] = 1;
        for (int32_t d = 0; d < head_dim; ++d) v[s * head_dim + d] = static_cast<float>(s + 1);
      }
      const gpu::AttendShape shape{
          .n_q_heads = n, .head_dim = head_dim, .kv_dtype = dtype, .max_kv_len = n, .block_len = n};
      const auto [out, lse] = attend_by_hand(*rung, shape, {.score = {.scale = 1}, .mask = {}}, q, k, v);
      for (int32_t h = 0; h < n; ++h) {
        for (int32_t d = 0; d < head_dim; ++d) CHECK(out[h * head_dim + d] == doctest::Approx(h + 1));
        CHECK(lse[h] == doctest::Approx(100));
      }
    }
}

/// Query h takes only key h. Dim d of its value is d · 2^(h % 4), so each number shows where it comes from.
TEST_CASE("k11: two bytes that share one place go to their own dims") {
  for (const DType dtype : {DType::fp8_e4m3, DType::i8}) {
    constexpr int32_t n = 16;  // heads, keys and head_dim
    std::vector<float> q(n * n), k(n * n), v(n * n);
    for (int32_t s = 0; s < n; ++s) {
      q[s * n + s] = 100;
      k[s * n + s] = 1;
      for (int32_t d = 0; d < n; ++d) v[s * n + d] = static_cast<float>(d << s % 4);
      if (dtype == DType::i8) v[s * n + 15] = static_cast<float>(127 << s % 4);  // so that d is its code
    }
    const gpu::AttendShape shape{
        .n_q_heads = n, .head_dim = n, .kv_dtype = dtype, .max_kv_len = n, .block_len = n};
    const std::vector<float> out =
        attend_by_hand(emulated::k11, shape, {.score = {.scale = 1}, .mask = {}}, q, k, v).out;
    for (int32_t i = 0; i < n * n; ++i) CHECK(out[i] == doctest::Approx(v[i]));
  }
}

TEST_CASE("groups below, at and above sixteen heads, and every width") {
  for (const emulated::Rung* rung : kOnTensorCores)
    for (const DType dtype : kNarrow) {
      if (!takes(*rung, dtype)) continue;
      for (const int32_t group : {1, 7, 8, 9, 15, 16, 17, 33})
        expect_rung(*rung, {.n_q_heads = 2 * group,
                            .n_kv_heads = 2,
                            .head_dim = 16,
                            .sequences = {{1, 70}, {2, 3}},
                            .block_len = 16,
                            .block_order = 3,
                            .kv_dtype = dtype});
      for (const int32_t narrow : {8, 24, 64, 72, 120, 128}) {
        const int32_t head_dim = size_of(dtype) == 1 ? (narrow + 15) / 16 * 16 : narrow;
        expect_rung(*rung, {.n_q_heads = 8,
                            .head_dim = head_dim,
                            .sequences = {{1, 130}, {3, 65}, {2, 0}},
                            .kv_dtype = dtype});
      }
    }
}

TEST_CASE("tiny, huge and zero queries lose nothing in the narrower type") {
  for (const emulated::Rung* rung : kOnTensorCores)
    for (const float size : {0.0f, 1e-30f, 1e-6f, 1e6f}) {  // outside of f16 at both ends
      AttendCase c{.n_q_heads = 8, .head_dim = 64, .sequences = {{1, 90}}, .kv_dtype = DType::f16};
      c.score_scale = size == 0 ? 1 : 1 / size;
      INFO("queries × ", size);
      const Layout l = lay_out(c);
      Tensor q = case_queries(c, l);
      for (int64_t i = 0; i < q.size(); ++i) q.data<float>()[i] *= size;
      NaiveBackend<double> f64;
      NaiveBackend<float> f32;
      const auto storage = fill_storage(f32, c, l);
      const AttendResult reference = attend(f64, c, l, *fill_storage(f64, c, l), q);
      const auto yardstick = [&](Backend& b) { return attend(b, c, l, *fill_storage(b, c, l), q).out; };
      const AttendResult result = run_rung(*rung, c, l, *storage, q, {.check = true}).result;
      CHECK(difference(result.out, reference.out).largest <= tolerance(yardstick, reference.out));
    }
}

/// Key 0 has a huge value and weighs e^-60 beside key 1 of its tile, which weighs e^-60 beside key 64 of the
/// same warp's next tile.
TEST_CASE("k11: a key of huge scale does not push out keys that weigh more") {
  constexpr int32_t d = 16, n = 65;
  std::vector<float> q(d), k(n * d), v(n * d);
  q[0] = 1;
  k[1 * d] = 60, k[64 * d] = 120;
  for (int32_t s = 2; s < 64; ++s) k[s * d] = -1000;
  for (int32_t i = 0; i < d; ++i) v[i] = 0x1p40f, v[1 * d + i] = 3, v[64 * d + i] = 5;
  for (const auto& [n_keys, expected] : {std::pair{1, 0x1p40f}, {64, 3.0f}, {65, 5.0f}}) {
    const gpu::AttendShape shape{.head_dim = d, .kv_dtype = DType::i8, .max_kv_len = n_keys, .block_len = n};
    for (const float x : attend_by_hand(emulated::k11, {shape, {}, {.n_splits = 1}},
                                        {.score = {.scale = 1}, .mask = {}}, q, k, v)
                             .out)
      CHECK(x == doctest::Approx(expected));
  }
}

/// Key 0 weighs most and its V is 0. The terms of the other keys are below 2^-126 each, so they have no
/// inverse.
TEST_CASE("k11: where the other values are too small for a unit, out is 0") {
  constexpr int32_t d = 16, n = 64;
  std::vector<float> q(d), k(n * d), v(n * d);
  q[0] = 1;
  for (int32_t s = 1; s < n; ++s) {
    k[s * d] = -20;                                      // p = 2^-29, so p · scale = 2^-135
    std::fill_n(v.begin() + s * d, d, 127 * 0x1p-106f);  // a scale of 2^-106; below 2^-107 it would be 0
  }
  const gpu::AttendShape shape{.head_dim = d, .kv_dtype = DType::i8, .max_kv_len = n, .block_len = n};
  for (const float x : attend_by_hand(emulated::k11, {shape, {}, {.n_splits = 1}},
                                      {.score = {.scale = 1}, .mask = {}}, q, k, v)
                           .out)
    CHECK(std::abs(x) < 0x1p-120f);  // NaN and infinity fail this check
}

TEST_CASE("k11: scales of int8 values of any size, and of very different ones in a tile") {
  AttendCase c{.n_q_heads = 16, .head_dim = 64, .sequences = {{1, 200}}, .kv_dtype = DType::i8};
  // Exponents of even and of odd keys. Scores × 400: a key that hardly weighs may have the largest scale.
  for (const auto& [even, odd, score_scale] :
       {std::tuple{-100, -100, 1.0f}, {100, 100, 1.0f}, {0, 40, 1.0f}, {0, 40, 400.0f}, {-60, 60, 400.0f}}) {
    CAPTURE(even);
    CAPTURE(odd);
    CAPTURE(score_scale);
    c.score_scale = score_scale;
    const Layout l = lay_out(c);
    const Tensor q = case_queries(c, l);
    NaiveBackend<double> f64;
    NaiveBackend<float> f32;
    const auto stored = [&](Backend& b) {
      auto storage = fill_storage(b, c, l);
      const TensorView scales = storage->scales(0, RowKind::v);
      for (int64_t s = 0; s < scales.size(); ++s)
        scales.data<float>()[s] *= std::ldexp(1.0f, s % 2 ? odd : even);
      return storage;
    };
    const auto reference = attend(f64, c, l, *stored(f64), q);
    const auto yardstick = [&](Backend& b) { return attend(b, c, l, *stored(b), q).out; };
    const AttendResult result = run_rung(emulated::k11, c, l, *stored(f32), q, {.check = true}).result;
    CHECK(difference(result.out, reference.out).largest <= tolerance(yardstick, reference.out));
  }
}

TEST_CASE(
    "q and p rounded once to the type of K/V hold the bound for rounded products, but not that for floats") {
  const auto rounded = [](gpu::AttendTask& t) { t.tuning.n_parts = 1; };
  for (const emulated::Rung* rung : kOnTensorCores)
    for (const auto& [dtype, unit] : {std::pair{DType::f16, 0x1p-11}, {DType::bf16, 0x1p-8}}) {
      const std::string what = fmt::format("{} {}", rung->name, name_of(dtype));
      INFO(what);
      const AttendCase c{.n_q_heads = 8, .head_dim = 64, .sequences = {{1, 200}}, .kv_dtype = dtype};
      const JudgedCase judged = judged_case(c);
      const Ran ran = run_rung(*rung, c, judged.layout, *judged.storage, judged.q, {.check = true}, rounded);
      const Verdict v = verdict(judged, ran.result);
      const Verdict as_rounded = verdict(judged_case(c, Products::rounded), ran.result);
      INFO(as_rounded.to_string());
      CHECK(as_rounded.ok());
      CHECK_FALSE(v.ok());
      CHECK(v.share() > 100);  // 114 at least: gpu/README.md names all four
      // Each of the 64 terms of a score has an error of an eighth of a unit of q, and p has as much. That is
      // below one unit of the output, because the weights sum to 1 and values go up to 4.
      CHECK(v.out.largest < 4 * unit);
      CHECK(v.lse.largest < 4 * unit);
      MESSAGE(what, " rounded: the largest error is ", v.share(), " times the bound");
    }
  for (const DType dtype : {DType::fp8_e4m3, DType::i8}) {
    const AttendCase c{.n_q_heads = 8, .head_dim = 64, .sequences = {{1, 200}}, .kv_dtype = dtype};
    const JudgedCase judged = judged_case(c, Products::rounded);
    const Ran ran = run_rung(emulated::k11, c, judged.layout, *judged.storage, judged.q, {}, rounded);
    CHECK(verdict(judged, ran.result).ok());
    CHECK_FALSE(verdict(judged_case(c), ran.result).ok());
  }
  const gpu::AttendShape shape{.head_dim = 64, .kv_dtype = DType::bf16};
  const gpu::AttendTask three{shape, {}, {.n_parts = 3}};
  CHECK(emulated::k11.supports(three) == "it needs n_parts 0 or 1");
}

// ---- traffic

TEST_CASE("k11: a K/V byte is read once for up to 16 heads of its group, in full sectors") {
  for (const auto& [n_q, n_kv, n_chunks] :
       {std::tuple{2, 2, 1}, {16, 1, 1}, {32, 2, 1}, {17, 1, 2}, {71, 1, 5}})
    for (const auto& [head_dim, dtype] :
         {std::pair{64, DType::bf16}, {128, DType::bf16}, {64, DType::i8}, {128, DType::fp8_e4m3}}) {
      CAPTURE(n_q);
      const AttendCase c{.n_q_heads = n_q,
                         .n_kv_heads = n_kv,
                         .head_dim = head_dim,
                         .sequences = {{1, 77}},
                         .block_len = 16,
                         .block_order = 2,
                         .kv_dtype = dtype};
      const simt::KernelTraffic k = report(emulated::k11, c);
      const int64_t n_rows = 77 * n_kv * n_chunks;
      for (const char* array : {"g_k", "g_v"})
        CHECK(bytes_of(k, array) == n_rows * head_dim * static_cast<int64_t>(size_of(dtype)));
      for (const char* array : {"g_k_scales", "g_v_scales"})
        CHECK(bytes_of(k, array) == n_rows * scale_bytes(dtype));
      for (const simt::SiteTraffic& site : k.sites)
        if (site.array == "g_k" || site.array == "g_v") {
          CHECK(site.lane_bytes == 16);
          CHECK(site.n_sectors == site.n_best_sectors);
        }
      CHECK(bytes_of(k, "g_block_tables") == 4 * 77 * 2 * n_kv * n_chunks);  // two lanes per key
    }
}

TEST_CASE("k11: no bank conflicts, and no barrier in the loop") {
  for (const auto& [head_dim, dtype] : {std::pair{64, DType::bf16},
                                        {128, DType::bf16},
                                        {64, DType::fp8_e4m3},
                                        {64, DType::i8},
                                        {128, DType::i8}}) {
    CAPTURE(head_dim);
    CAPTURE(name_of(dtype));
    AttendCase c{.n_q_heads = 16, .head_dim = head_dim, .sequences = {{1, 64}}, .kv_dtype = dtype};
    const simt::KernelTraffic one = report(emulated::k11, c);
    for (const simt::SiteTraffic& site : one.sites)
      if (site.space == simt::Space::shared)
        CHECK_MESSAGE(site.n_passes == site.n_best_passes, site.array, " at line ", site.line);
    c.sequences = {{1, 640}};
    const auto unsplit = [](gpu::AttendTask& t) { t.tuning.n_splits = 1; };
    const auto ten =
        run_rung(emulated::k11, c, {.report = true, .n_sample_blocks = 1000}, unsplit).traffic.at(0);
    CHECK(ten.n_barriers == one.n_barriers);
    CHECK(ten.n_mmas == 10 * one.n_mmas);
  }
}

TEST_CASE("k11: as many products for one head as for sixteen, times three in bf16, else times two") {
  const auto n_mmas = [](int32_t n_heads, DType dtype) {
    return report(emulated::k11,
                  {.n_q_heads = n_heads, .head_dim = 64, .sequences = {{1, 64}}, .kv_dtype = dtype})
        .n_mmas;
  };
  // 4 warps; 2 × 8 keys × 4 steps of 16 dims for scores, 8 × 8 dims for values.
  CHECK(n_mmas(1, DType::bf16) == 4 * 3 * (2 * 4 + 8));
  CHECK(n_mmas(16, DType::bf16) == 4 * 3 * (2 * 4 + 8));
  for (const DType dtype : {DType::f16, DType::fp8_e4m3, DType::i8})
    CHECK(n_mmas(16, dtype) == 4 * 2 * (2 * 4 + 8));
}

TEST_CASE("k12: prefills whose rows fill tiles, begin in mid-tile, and see windows or everything") {
  for (const DType dtype : {DType::f16, DType::bf16})
    for (const MaskRule mask : {MaskRule{true, 0}, MaskRule{true, 70}, MaskRule{false, 0}})
      for (const auto& [n_q, n_kv] : {std::pair{1, 1}, {6, 2}, {5, 1}}) {
        expect_rung(emulated::k12, {.n_q_heads = n_q,
                                    .n_kv_heads = n_kv,
                                    .head_dim = 64,
                                    .sequences = {{64, 64}, {65, 150}, {1, 130}, {0, 7}, {30, 3}},
                                    .mask = mask,
                                    .block_len = 31,
                                    .block_order = 4,
                                    .kv_dtype = dtype});
      }
}

TEST_CASE("k12: K and V are read once per 64 rows, whichever heads these are; unseen tiles are skipped") {
  const auto k_rows = [](int32_t n_heads, SequenceSize sequence, MaskRule mask) {
    const AttendCase c{
        .n_q_heads = n_heads, .head_dim = 64, .sequences = {sequence}, .mask = mask, .kv_dtype = DType::bf16};
    const simt::KernelTraffic k = report(emulated::k12, c);
    CHECK(bytes_of(k, "g_k") == bytes_of(k, "g_v"));
    for (const simt::SiteTraffic& site : k.sites)
      if (site.array == "g_k" || site.array == "g_v") CHECK(site.n_sectors == site.n_best_sectors);
    return bytes_of(k, "g_k") / (64 * 2);
  };
  CHECK(k_rows(1, {64, 64}, {true, 0}) == 64);
  CHECK(k_rows(4, {16, 256}, {true, 0}) == 256);        // 16 tokens of 4 heads are one tile of rows
  CHECK(k_rows(1, {128, 128}, {true, 0}) == 64 + 128);  // causal: the first half does not see the second
  CHECK(k_rows(1, {128, 128}, {false, 0}) == 2 * 128);
  CHECK(k_rows(1, {64, 300}, {true, 5}) == 64 + 4);  // tokens 236 … 299, and the four before the first
}

TEST_CASE("k12: no bank conflicts, one barrier per tile, two or three products in place of one") {
  for (const int32_t head_dim : {64, 128}) {
    CAPTURE(head_dim);
    for (const auto& [dtype, n_parts] : {std::pair{DType::f16, 2}, {DType::bf16, 3}}) {
      const simt::KernelTraffic k =
          report(emulated::k12, {.head_dim = head_dim, .sequences = {{64, 192}}, .kv_dtype = dtype});
      CHECK(k.n_barriers == 1 + 3);  // the first is for K of the first tile
      CHECK(k.n_mmas == 3 * 4 * n_parts * (8 * head_dim / 16 + 4 * head_dim / 8));
      for (const simt::SiteTraffic& site : k.sites)
        if (site.space == simt::Space::shared)
          CHECK_MESSAGE(site.n_passes == site.n_best_passes, site.array, " at line ", site.line);
    }
  }
}

}  // namespace
}  // namespace lastrow::testing
