// Long contexts: sums in which tensor cores truncate, pipeline stages that are used again, and how large the
// errors of approximate exponentials may be.
#include <doctest/doctest.h>

#include "core/conversions.h"
#include "gpu/simt/product_sum.h"
#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

using simt::ProductSum;
using simt::UseProductSum;

constexpr int32_t kHeads = 16, kHeadDim = 64;

/// Sixteen heads of one K/V head: the rows of a product.
AttendCase sixteen_heads(int32_t n_keys) {
  return {.n_q_heads = kHeads,
          .head_dim = kHeadDim,
          .sequences = {{1, n_keys}},
          .kv_dtype = DType::f16,
          .n_splits = 1};
}

// ---- the sum of P·V

/// Where the sum of p · v over all keys is accumulated.
enum class Sum {
  in_tensor_core,   // the sum is c of every product
  in_float_by_tile  // the products of 16 keys start from zero, and a float addition adds them, as in kernels
};

/// Out of the judged case, where only the products of tiles have errors: scores, p and their sum are computed
/// in double, and each p is multiplied by 1 + error(i).
template <typename Error>
std::vector<double> out_by_products(const JudgedCase& judged, Sum sum, Error error) {
  const int32_t n_keys = judged.c.sequences[0].kv_len;
  const float* q = judged.q.data<float>();                           // [16, head_dim]
  const Half* k = judged.storage->rows(0, RowKind::k).data<Half>();  // [n_keys, head_dim]
  const Half* v = judged.storage->rows(0, RowKind::v).data<Half>();  // [n_keys, head_dim]
  std::vector<float> p(static_cast<size_t>(kHeads) * n_keys);        // [16, n_keys]
  double row_sum[kHeads] = {};
  for (int32_t h = 0; h < kHeads; ++h) {
    std::vector<double> score(static_cast<size_t>(n_keys));
    for (int32_t s = 0; s < n_keys; ++s)
      for (int32_t d = 0; d < kHeadDim; ++d)
        score[s] += double{q[h * kHeadDim + d]} * to_float(k[s * kHeadDim + d]) / 8;  // √64
    const double row_max = *std::max_element(score.begin(), score.end());
    for (int32_t s = 0; s < n_keys; ++s) {
      const int32_t i = h * n_keys + s;
      p[i] = static_cast<float>(std::exp(score[s] - row_max) * (1 + error(i)));
      row_sum[h] += p[i];
    }
  }

  float acc[kHeadDim / 8][16][8] = {};
  for (int32_t first = 0; first < n_keys; first += 16) {
    Half large[16][16], small[16][16];
    for (int32_t h = 0; h < kHeads; ++h)
      for (int32_t s = 0; s < 16; ++s) {
        const float weight = p[h * n_keys + first + s];
        large[h][s] = to_half(weight);
        small[h][s] = to_half(weight - to_float(large[h][s]));
      }
    for (int32_t eight = 0; eight < kHeadDim / 8; ++eight) {
      Half values[16][8];
      for (int32_t s = 0; s < 16; ++s)
        for (int32_t d = 0; d < 8; ++d) values[s][d] = v[(first + s) * kHeadDim + 8 * eight + d];
      float tile[16][8] = {};
      auto& c = sum == Sum::in_tensor_core ? acc[eight] : tile;
      simt::multiply_add_tile(small, values, c);
      simt::multiply_add_tile(large, values, c);
      for (int32_t h = 0; h < kHeads && sum == Sum::in_float_by_tile; ++h)
        for (int32_t d = 0; d < 8; ++d) acc[eight][h][d] += tile[h][d];
    }
  }
  std::vector<double> out;
  for (int32_t h = 0; h < kHeads; ++h)
    for (int32_t d = 0; d < kHeadDim; ++d) out.push_back(acc[d / 8][h][d % 8] / row_sum[h]);
  return out;
}

/// The largest error divided by the bound.
double share(const JudgedCase& judged, const std::vector<double>& out) {
  return difference(out, judged.reference.out).largest / judged.out_bound;
}

TEST_CASE("a sum kept in a tensor core leaves the tolerance on long contexts; one kept in float does not") {
  const auto exact = [](int32_t) { return 0.0; };
  for (const int32_t n_keys : {4096, 16384}) {
    const JudgedCase judged = judged_case(sixteen_heads(n_keys));
    const double in_core = share(judged, out_by_products(judged, Sum::in_tensor_core, exact)),
                 by_tile = share(judged, out_by_products(judged, Sum::in_float_by_tile, exact));
    MESSAGE(n_keys, " keys: ", in_core, " of the bound in the tensor core, ", by_tile, " tile by tile");
    CHECK(in_core > 1);
    CHECK(by_tile < 0.5);
    const UseProductSum use(ProductSum::rounded);  // without truncation the error goes away
    CHECK(share(judged, out_by_products(judged, Sum::in_tensor_core, exact)) < 1);
  }
}

TEST_CASE("k11 and k12 hold at 4,096 and 16,384 keys, by every rule of truncation") {
  for (const ProductSum rule : {ProductSum::hopper, ProductSum::ampere})
    for (const int32_t n_keys : {4096, 16384})
      for (const DType dtype : {DType::f16, DType::bf16}) {
        if (n_keys == 16384 && (rule == ProductSum::ampere) != (dtype == DType::bf16)) continue;  // time
        const UseProductSum use(rule);
        AttendCase c = sixteen_heads(n_keys);
        c.kv_dtype = dtype;
        expect_rung(emulated::k11, c);
        c.n_q_heads = 1;
        c.sequences = {{17, n_keys}};
        expect_rung(emulated::k12, c);
      }
}

// ---- pipelines

/// Every key counts, also in a stage that is used again. All weights are equal; the value of key s is 2^(s /
/// 64 % 4) in dim s % 64.
TEST_CASE("k09 to k12: one block walks through all tiles, and each key counts once") {
  for (const emulated::Rung* rung : {&emulated::k09, &emulated::k10, &emulated::k11, &emulated::k12})
    for (const int32_t n_keys : {300, 1000}) {
      const std::string what = fmt::format("{}, {} keys", rung->name, n_keys);
      INFO(what);
      constexpr int32_t d = 64;
      // The value of key s is 2^(s / 64 % 4) in dim s % 64, so the sum shows how often each tile was used.
      std::vector<float> q(4 * d), k(static_cast<size_t>(n_keys) * d), v(k.size()), expected(d);
      for (int32_t s = 0; s < n_keys; ++s) {
        const float value = static_cast<float>(1 << s / 64 % 4);
        v[static_cast<size_t>(s) * d + s % d] = value;
        expected[static_cast<size_t>(s % d)] += value / static_cast<float>(n_keys);
      }
      const gpu::AttendShape shape{
          .n_q_heads = 4, .head_dim = d, .kv_dtype = DType::f16, .max_kv_len = n_keys, .block_len = n_keys};
      const gpu::AttendTask task{shape, {}, {.n_splits = 1}};
      const auto [out, lse] = attend_by_hand(*rung, task, {.score = {.scale = 1}, .mask = {}}, q, k, v);
      for (int32_t i = 0; i < 4 * d; ++i) CHECK(out[i] == doctest::Approx(expected[i % d]));
      CHECK(lse[0] == doctest::Approx(std::log(n_keys)));
    }
}

TEST_CASE("k09 to k12 hold at 300 and 1,000 keys in one split, decode and prefill") {
  for (const emulated::Rung* rung : {&emulated::k09, &emulated::k10, &emulated::k11, &emulated::k12})
    for (const int32_t n_keys : {300, 1000})
      for (const DType dtype : {DType::bf16, DType::i8}) {
        if (!rung->supports(gpu::AttendShape{.head_dim = 64, .kv_dtype = dtype}).empty()) continue;
        AttendCase c{.n_q_heads = 4,
                     .head_dim = 64,
                     .sequences = {{1, n_keys}, {2, 270}},
                     .block_len = 16,
                     .block_order = 3,
                     .kv_dtype = dtype,
                     .n_splits = 1};
        expect_rung(*rung, c);
        c.mask = {true, 220};  // begins in mid-tile
        expect_rung(*rung, c);
      }
}

// ---- exponentials

/// ex2.approx has an error of at most 2 ulp, the emulator's exp2f of 1. These errors are independent of v.
TEST_CASE("exponentials that are wrong by 2^-22 stay within the tolerance at 16,384 keys") {
  const JudgedCase judged = judged_case(sixteen_heads(16384));
  Random random(1);
  const auto any = [&](int32_t) { return (random.uniform() * 2 - 1) * 0x1p-22; };
  const auto biased = [](int32_t) { return 0x1p-22; };  // p and its sum have the same error
  const double of_any = share(judged, out_by_products(judged, Sum::in_float_by_tile, any)),
               of_biased = share(judged, out_by_products(judged, Sum::in_float_by_tile, biased));
  MESSAGE(of_any, " of the bound with random errors, ", of_biased, " with equal ones");
  CHECK(of_any < 0.5);
  CHECK(of_biased < 0.5);
  CHECK(0x1p-22 < judged.lse_bound);  // a biased row_sum moves lse that far
}

}  // namespace
}  // namespace lastrow::testing
