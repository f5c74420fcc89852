// The sums in vector registers: by eye, then against the clear text of row_sums.h, then what must not change a
// bit. Without Highway there is nothing to test, and attention uses the clear text.
#include "backend/vector_rows.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "backend/eigen.h"
#include "backend/kv_rows.h"
#include "backend/row_sums.h"
#include "cache/kv_channels.h"
#include "cache/kv_groups.h"
#include "judge/random_tensor.h"

using namespace lastrow;

namespace {

bool skipped() {
  if (!vector_rows::is_built()) MESSAGE("skipped: this build has no Highway");
  return !vector_rows::is_built();
}

/// Rows of floats, each in an allocation of its own, so that a sanitizer sees a read behind its end.
struct FloatRows {
  FloatRows(int32_t n, int64_t head_dim, uint64_t seed) {
    const Tensor numbers = judge::random_tensor({n, head_dim}, seed);
    for (int32_t i = 0; i < n; ++i) {
      const float* from = numbers.data<float>() + i * head_dim;
      rows.emplace_back(from, from + head_dim);
    }
    for (const auto& row : rows) {
      floats.push_back(row.data());
      stored.push_back(reinterpret_cast<const std::byte*>(row.data()));
    }
  }
  vector_rows::Rows view() const {
    const auto head_dim = static_cast<int64_t>(rows[0].size());
    return {DType::f32, static_cast<int32_t>(rows.size()), head_dim, head_dim * 4, stored.data(), nullptr};
  }
  std::vector<std::vector<float>> rows;
  std::vector<const float*> floats;
  std::vector<const std::byte*> stored;
};

std::vector<float> random_floats(int64_t n, uint64_t seed) {
  const Tensor t = judge::random_tensor({1, n}, seed);
  return {t.data<float>(), t.data<float>() + n};
}

constexpr int64_t kStride = EigenBackend::kTile;
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

/// The bits of floats; all NaN are equal.
std::vector<uint32_t> bits_of(const std::vector<float>& x) {
  std::vector<uint32_t> bits;
  for (const float f : x) bits.push_back(std::isnan(f) ? 0x7FC0'0000u : std::bit_cast<uint32_t>(f));
  return bits;
}

/// Decodes stored rows of one type with vector_rows, and with the functions that define the type.
template <typename T>
void compare_decoding(const std::vector<T>& stored, const std::vector<Half>& half_scales,
                      const std::vector<float>& scales, int32_t n, int64_t head_dim) {
  const int64_t row_elems = head_dim / numbers_in(dtype_of<T>);
  std::vector<const std::byte*> rows, scales_of;
  std::vector<float> expected(static_cast<size_t>(n * head_dim)), actual(expected.size());
  for (int32_t i = 0; i < n; ++i) {
    const T* row = stored.data() + i * row_elems;
    float* to = expected.data() + i * head_dim;
    rows.push_back(reinterpret_cast<const std::byte*>(row));
    if constexpr (is_grouped<T>) {
      const Half* scale = half_scales.data() + i * n_groups(head_dim);
      scales_of.push_back(reinterpret_cast<const std::byte*>(scale));
      decode_groups(row, scale, static_cast<int32_t>(head_dim), to);
    } else {
      scales_of.push_back(scales.empty() ? nullptr : reinterpret_cast<const std::byte*>(scales.data() + i));
      decode_row(row, scales.empty() ? 1.0f : scales[static_cast<size_t>(i)], static_cast<int32_t>(head_dim),
                 to);
    }
  }
  vector_rows::decode(
      {dtype_of<T>, n, head_dim, row_elems * static_cast<int64_t>(sizeof(T)), rows.data(), scales_of.data()},
      actual.data());
  CHECK(bits_of(actual) == bits_of(expected));
}

/// All values of T, in rows of head_dim.
template <typename T, typename Bits>
void compare_all(const std::vector<float>& scales, int64_t head_dim) {
  constexpr uint32_t kCount = 1u << (8 * sizeof(T));
  const auto n = static_cast<int32_t>(kCount / head_dim);
  std::vector<T> stored(kCount);
  for (uint32_t i = 0; i < kCount; ++i) stored[i] = std::bit_cast<T>(static_cast<Bits>(i));
  if (scales.empty()) return compare_decoding(stored, {}, {}, n, head_dim);
  for (const float scale : scales)
    compare_decoding(stored, {}, std::vector(static_cast<size_t>(n), scale), n, head_dim);
}

/// Every byte of T, with every f16 as a scale.
template <typename T>
void compare_all_grouped(int64_t head_dim) {
  std::vector<T> stored(256 + static_cast<size_t>(head_dim));
  for (size_t i = 0; i < stored.size(); ++i) stored[i].bits = static_cast<uint8_t>(i);
  std::vector<Half> scales(static_cast<size_t>(n_groups(head_dim)));
  const auto n = static_cast<int32_t>(256 / (head_dim / 2));
  for (uint32_t scale = 0; scale < 65536; scale += 7) {
    std::vector<Half> all(static_cast<size_t>(n * n_groups(head_dim)));
    for (size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<uint16_t>(scale + i);
    compare_decoding(stored, all, {}, n, head_dim);
  }
}

}  // namespace

TEST_CASE("three keys, two heads: scores and sums are read by eye") {
  if (skipped()) return;
  const float k[3][2] = {{1, 0}, {0, 1}, {2, 3}}, q[2][2] = {{10, 1}, {0, 5}};
  const std::byte* stored[3];
  for (int i = 0; i < 3; ++i) stored[i] = reinterpret_cast<const std::byte*>(k[i]);
  const vector_rows::Rows rows{DType::f32, 3, 2, 8, stored, nullptr};
  float scores[2][4];
  vector_rows::dot(rows, q[0], 2, scores[0], 4, {});
  CHECK(scores[0][0] == 10);
  CHECK(scores[0][1] == 1);
  CHECK(scores[0][2] == 23);
  CHECK(scores[1][0] == 0);
  CHECK(scores[1][1] == 5);
  CHECK(scores[1][2] == 15);
  const float weights[2][4] = {{1, 2, 0, 99}, {0, 0, 1, 99}}, factors[2] = {0.5f, 1};
  float acc[2][2] = {{100, 200}, {1, 1}};
  vector_rows::add(rows, weights[0], 4, factors, 2, acc[0], 2, {});
  CHECK(acc[0][0] == 51);
  CHECK(acc[0][1] == 102);
  CHECK(acc[1][0] == 3);
  CHECK(acc[1][1] == 4);
}

/// Two orders of summing n products differ by at most 2 n ε Σ |products|, because each of at most n additions
/// of either side rounds a partial sum that is not larger than that.
TEST_CASE("the sums are those of the clear text, on ugly shapes") {
  if (skipped()) return;
  for (const int64_t head_dim : {1, 5, 8, 16, 23, 64, 80, 100, 128, 256, 512})
    for (const int32_t n : {1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 64})
      for (const int64_t n_heads : {1, 2, 3, 4, 5, 8, 9}) {
        CAPTURE(head_dim);
        CAPTURE(n);
        CAPTURE(n_heads);
        const FloatRows rows(n, head_dim, 1), next(3, head_dim, 2);
        const auto q = random_floats(n_heads * head_dim, 3), weights = random_floats(n_heads * kStride, 4),
                   factors = random_floats(n_heads, 5);
        std::vector<float> scores(static_cast<size_t>(n_heads * kStride)), expected(kStride);
        vector_rows::dot(rows.view(), q.data(), n_heads, scores.data(), kStride, next.view());
        auto acc = random_floats(n_heads * (head_dim + 2), 6);
        const auto before = acc;
        vector_rows::add(rows.view(), weights.data(), kStride, factors.data(), n_heads, acc.data(),
                         head_dim + 2, next.view());
        for (int64_t j = 0; j < n_heads; ++j) {
          dot_rows(rows.floats.data(), n, q.data() + j * head_dim, head_dim, expected.data());
          for (int32_t i = 0; i < n; ++i) {
            double size = 0;
            for (int64_t d = 0; d < head_dim; ++d)
              size += std::abs(double{rows.floats[i][d]} * q[static_cast<size_t>(j * head_dim + d)]);
            CHECK(std::abs(double{scores[static_cast<size_t>(j * kStride + i)]} - expected[i]) <=
                  2 * kEpsilon * static_cast<double>(head_dim) * size);
          }
          const float *w = weights.data() + j * kStride, *was = before.data() + j * (head_dim + 2),
                      *is = acc.data() + j * (head_dim + 2);
          std::vector<float> sum(was, was + head_dim);
          for (float& x : sum) x *= factors[static_cast<size_t>(j)];
          add_rows(rows.floats.data(), n, w, head_dim, sum.data());
          for (int64_t d = 0; d < head_dim; ++d) {
            double size = std::abs(double{was[d]} * factors[static_cast<size_t>(j)]);
            for (int32_t i = 0; i < n; ++i) size += std::abs(double{w[i]} * rows.floats[i][d]);
            CHECK(std::abs(double{is[d]} - sum[static_cast<size_t>(d)]) <= 2 * kEpsilon * (n + 2) * size);
          }
          CHECK(is[head_dim] == was[head_dim]);  // behind the row
          CHECK(is[head_dim + 1] == was[head_dim + 1]);
        }
      }
}

TEST_CASE("a score does not depend on other rows or heads, and a sum not on other heads, to the bit") {
  if (skipped()) return;
  for (const int64_t head_dim : {5, 16, 80, 128}) {
    constexpr int32_t kRows = 37;
    constexpr int64_t kHeads = 7;
    const FloatRows rows(kRows, head_dim, 1);
    const auto q = random_floats(kHeads * head_dim, 2), weights = random_floats(kHeads * kStride, 3),
               factors = random_floats(kHeads, 4);
    std::vector<float> together(kHeads * kStride), acc(static_cast<size_t>(kHeads * head_dim), 1.0f);
    vector_rows::dot(rows.view(), q.data(), kHeads, together.data(), kStride, {});
    vector_rows::add(rows.view(), weights.data(), kStride, factors.data(), kHeads, acc.data(), head_dim, {});
    for (int64_t j = 0; j < kHeads; ++j) {
      for (int32_t i = 0; i < kRows; ++i) {
        vector_rows::Rows one = rows.view();
        one.stored += i, one.n = 1;
        float alone[4];
        vector_rows::dot(one, q.data() + j * head_dim, 1, alone, 4, {});
        CHECK(alone[0] == together[static_cast<size_t>(j * kStride + i)]);
      }
      std::vector<float> alone(static_cast<size_t>(head_dim), 1.0f);
      vector_rows::add(rows.view(), weights.data() + j * kStride, kStride, factors.data() + j, 1,
                       alone.data(), head_dim, {});
      CHECK(std::equal(alone.begin(), alone.end(), acc.begin() + j * head_dim));
    }
  }
}

TEST_CASE("every stored value decodes to the bits that its type defines") {
  if (skipped()) return;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const int64_t head_dim : {1, 5, 16, 64, 80, 256}) {
    CAPTURE(head_dim);
    compare_all<Half, uint16_t>({}, head_dim);
    compare_all<BFloat16, uint16_t>({}, head_dim);
    compare_all<Fp8E4M3, uint8_t>({}, head_dim);
    compare_all<int8_t, uint8_t>({0.0f, 1.0f, 0.01f, 1e-30f, 1e36f, kNan}, head_dim);
  }
  for (const int64_t head_dim : {2, 16, 34, 64, 80, 130, 256}) {
    CAPTURE(head_dim);
    compare_all_grouped<Int4x2>(head_dim);
    compare_all_grouped<Fp4x2>(head_dim);
  }
}

TEST_CASE("int8-channel: every code with every scale, beside a row that is still in f32") {
  if (skipped()) return;
  constexpr float kScales[] = {0.0f, 1.0f, 0.01f, 1e-30f, 1e36f, std::numeric_limits<float>::quiet_NaN()};
  for (const int32_t head_dim : {1, 5, 16, 64, 80, 130}) {
    CAPTURE(head_dim);
    const auto n = static_cast<size_t>(head_dim);
    const std::vector<float> in_f32 = random_floats(head_dim, 1);
    for (int first = -128; first < 128; ++first) {
      std::vector<Int8Channel> codes(n);
      std::vector<float> scales(n), expected(n), actual(2 * n);
      for (size_t d = 0; d < n; ++d) {
        codes[d] = {static_cast<int8_t>((first + 128 + static_cast<int>(d)) % 256 - 128)};
        scales[d] = kScales[(d + static_cast<size_t>(first + 128)) % std::size(kScales)];
        expected[d] = decode_channel(codes[d], scales[d]);
      }
      expected.insert(expected.end(), in_f32.begin(), in_f32.end());
      const std::byte* rows[] = {reinterpret_cast<const std::byte*>(codes.data()),
                                 reinterpret_cast<const std::byte*>(in_f32.data())};
      const std::byte* scales_of[] = {reinterpret_cast<const std::byte*>(scales.data()), nullptr};
      vector_rows::decode({DType::i8_channel, 2, head_dim, head_dim, rows, scales_of}, actual.data());
      CHECK(bits_of(actual) == bits_of(expected));
    }
  }
}
