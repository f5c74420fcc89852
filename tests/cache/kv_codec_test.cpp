// Rows of K and V in each stored type: by eye, then the properties that the header promises for every row.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/kv_codec.h"
#include "core/error.h"
#include "core/random.h"

using namespace lastrow;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

template <typename T>
struct Encoded {
  std::vector<T> stored;
  float scale;
};

template <typename T>
Encoded<T> encoded(const std::vector<float>& row) {
  Encoded<T> e{std::vector<T>(row.size()), 0};
  e.scale = encode_row(row.data(), static_cast<int32_t>(row.size()), e.stored.data());
  return e;
}

template <typename T>
std::vector<float> decoded(const Encoded<T>& e) {
  std::vector<float> row(e.stored.size());
  decode_row(e.stored.data(), e.scale, static_cast<int32_t>(row.size()), row.data());
  return row;
}

/// Rows of many lengths, with elements of all magnitudes from 2^-110 to 2^120.
std::vector<std::vector<float>> rows_of_all_sizes() {
  std::vector<std::vector<float>> rows;
  Random random(17);
  for (int i = 0; i < 4000; ++i) {
    std::vector<float> row(static_cast<size_t>(1 + random.below(130)));
    const int exponent = static_cast<int>(random.below(231)) - 110;
    for (float& x : row) x = static_cast<float>(std::ldexp(random.normal(), exponent));
    rows.push_back(std::move(row));
  }
  return rows;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("int8 by eye: 127 steps to the largest, ties to even") {
  const auto e = encoded<int8_t>({127, -127, 1, 0.5f, 1.5f, -2.5f, 0, 63.4f});
  CHECK(e.scale == 1.0f);
  CHECK(e.stored == std::vector<int8_t>{127, -127, 1, 0, 2, -2, 0, 63});
  const auto small = encoded<int8_t>({0.25f, -254 * 0.25f});
  CHECK(small.scale == 0.5f);
  CHECK(decoded(small) == std::vector<float>{0, -63.5f});  // 0.25 is half a step, and rounds to 0
}

TEST_CASE("the other types by eye: rounded, no scale") {
  CHECK(decoded(encoded<Half>({1 + 0x1p-11f, 70000, -2})) == std::vector<float>{1, kInf, -2});
  CHECK(decoded(encoded<BFloat16>({1 + 3 * 0x1p-8f, -0.5f})) == std::vector<float>{1 + 0x1p-6f, -0.5f});
  CHECK(decoded(encoded<Fp8E4M3>({1.05f, 1000, -0x1p-9f})) == std::vector<float>{1, 448, -0x1p-9f});
  CHECK(decoded(encoded<float>({1 + 0x1p-23f})) == std::vector<float>{1 + 0x1p-23f});
  CHECK(encoded<Half>({7}).scale == 1);
  CHECK(encoded<float>({7}).scale == 1);
}

TEST_CASE("a row of zeros, or far too small: scale 0, zeros; a row with NaN or infinity: NaN throughout") {
  for (const float x : {0.0f, -0.0f, 0x1p-101f, 0x1p-149f}) {
    const auto e = encoded<int8_t>({x, 0, x});
    CHECK(e.scale == 0);
    CHECK(decoded(e) == std::vector<float>{0, 0, 0});
  }
  CHECK(encoded<int8_t>({0x1p-100f}).scale > 0);
  CHECK(encoded<int8_t>({}).scale == 0);
  for (const float bad : {kNaN, kInf, -kInf, -kNaN})
    for (const float x : decoded(encoded<int8_t>({1, bad, 2}))) CHECK(std::isnan(x));
  const auto largest = decoded(encoded<int8_t>({std::numeric_limits<float>::max(), 1}));
  CHECK(std::isfinite(largest[0]));
  CHECK(largest[0] == doctest::Approx(std::numeric_limits<float>::max()).epsilon(1e-4));
  // In the other types a NaN or infinity changes only its own element. (fp8 has no infinity: it saturates.)
  const auto half = decoded(encoded<Half>({kNaN, 1, kInf}));
  CHECK(std::isnan(half[0]));
  CHECK(half[1] == 1);
  CHECK(half[2] == kInf);
  CHECK(std::isnan(decoded(encoded<Fp8E4M3>({kNaN}))[0]));
}

TEST_CASE("int8: off by at most half a step, and decoding is exact") {
  for (const std::vector<float>& row : rows_of_all_sizes()) {
    const auto e = encoded<int8_t>(row);
    const std::vector<float> back = decoded(e);
    float largest = 0;
    for (const float x : row) largest = std::max(largest, std::abs(x));
    CHECK((e.scale == 0) == (largest < 0x1p-100f));
    if (e.scale == 0) continue;
    for (size_t d = 0; d < row.size(); ++d) {
      if (static_cast<double>(e.stored[d]) * double{e.scale} != double{back[d]}) FAIL("not exact: ", back[d]);
      if (std::abs(double{row[d]} - double{back[d]}) > 0.50001 * double{e.scale})
        FAIL(row[d], " became ", back[d], " with scale ", e.scale);
    }
    CHECK(e.scale <= largest / 127);
    CHECK(e.scale >= largest / 127 * (1 - 0x1p-16f));
    CHECK(*std::max_element(e.stored.begin(), e.stored.end()) <= 127);
    CHECK(*std::min_element(e.stored.begin(), e.stored.end()) >= -127);
  }
}

TEST_CASE_TEMPLATE("a decoded row encodes to itself, to the bit", T, float, Half, BFloat16, Fp8E4M3, int8_t) {
  for (const std::vector<float>& row : rows_of_all_sizes()) {
    const auto once = encoded<T>(row);
    const auto twice = encoded<T>(decoded(once));
    if (!same_bits(once.stored, twice.stored) || once.scale != twice.scale)
      FAIL("a row of ", row.size(), " from ", row[0], ": scale ", once.scale, " then ", twice.scale);
  }
}

TEST_CASE("the scale of K may multiply the score, and the scale of V may multiply p") {
  // Σ_d q[d] · (code · scale) = scale · Σ_d q[d] · code, in exact arithmetic.
  Random random(3);
  std::vector<float> k(64), q(64);
  for (float& x : k) x = static_cast<float>(random.normal());
  for (float& x : q) x = static_cast<float>(random.normal());
  const auto e = encoded<int8_t>(k);
  const std::vector<float> back = decoded(e);
  double by_element = 0, by_score = 0;
  for (size_t d = 0; d < k.size(); ++d) {
    by_element += double{q[d]} * double{back[d]};
    by_score += double{q[d]} * static_cast<double>(e.stored[d]);
  }
  CHECK(by_element == doctest::Approx(by_score * double{e.scale}).epsilon(1e-14));
}

TEST_CASE("where a scale is stored, and how many bytes a cache has with it") {
  const RowLayout layout{3, 4, 10};  // scales [n_blocks, 3 K/V heads, 4 places]
  CHECK(scale_offset(layout, 1, 0) == 1);
  CHECK(scale_offset(layout, 0, 1) == 4);
  CHECK(scale_offset(layout, 8, 2) == 2 * 12 + 2 * 4);
  CHECK(row_offset(layout, 8, 2) == 10 * scale_offset(layout, 8, 2));

  const auto bytes = [](DType dtype) { return CacheSpec::contiguous(2, 3, 10, 100, 1, dtype).bytes(); };
  const int64_t n_rows = 2 * 2 * 3 * 100;  // K and V, layers, heads, slots
  CHECK(bytes(DType::f32) == n_rows * 40);
  CHECK(bytes(DType::f16) == n_rows * 20);
  CHECK(bytes(DType::bf16) == n_rows * 20);
  CHECK(bytes(DType::fp8_e4m3) == n_rows * 10);
  CHECK(bytes(DType::i8) == n_rows * (10 + 4));
  CHECK(bytes(DType::i4x2) == n_rows * (5 + 2));
  CHECK(bytes(DType::fp4x2) == n_rows * (5 + 2));

  // K in int8 with scales, V in f16.
  const CacheSpec mixed = CacheSpec::contiguous(2, 3, 10, 100, 1, {DType::i8, DType::f16});
  CHECK(mixed.row_bytes(RowKind::k) == 14);
  CHECK(mixed.row_bytes(RowKind::v) == 20);
  CHECK(mixed.bytes() == n_rows / 2 * (14 + 20));
}

TEST_CASE("types of K and V by name; the others are refused") {
  for (const char* name : {"f32", "f16", "bf16", "fp8", "int8", "int4", "fp4"}) {
    CHECK(kv_dtype_name(kv_dtype_from_name(name)) == name);
    CHECK(is_kv_dtype(kv_dtype_from_name(name)));
  }
  CHECK(kv_dtype_from_name("int8") == DType::i8);
  for (const char* name : {"int3", "i8", "f64", "", "F16"})
    CHECK_THROWS_WITH_AS(kv_dtype_from_name(name),
                         doctest::Contains("use one of f32 f16 bf16 fp8 int8 int4 fp4"), UsageError);
  for (const DType dtype : {DType::f64, DType::i64, DType::i32, DType::u8}) {
    CHECK_THROWS_WITH_AS(validate(CacheSpec::contiguous(1, 1, 4, 2, 1, {DType::f32, dtype})),
                         doctest::Contains("CacheSpec::dtype_v is"), ShapeError);
    CHECK_THROWS_WITH_AS(
        validate(CacheSpec::contiguous(1, 1, 4, 2, 1, dtype)),
        doctest::Contains("stored as f32, f16, bf16, fp8, i8 (int8), int4, fp4 or int8-channel"), ShapeError);
  }
}

TEST_CASE("the types of K and of V by name, together and apart") {
  CHECK(kv_dtypes_from_name("int8") == KvDtypes(DType::i8, DType::i8));
  CHECK(kv_dtypes_from_name("k=int8,v=fp8") == KvDtypes(DType::i8, DType::fp8_e4m3));
  CHECK(kv_dtypes_from_name("k=f16,v=f16") == KvDtypes(DType::f16));
  CHECK(kv_dtypes_name(DType::i8) == "int8");
  CHECK(kv_dtypes_name({DType::i8, DType::fp8_e4m3}) == "k=int8,v=fp8");
  for (const DType k : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8})
    for (const DType v : {DType::f32, DType::fp8_e4m3, DType::i8, DType::i4x2, DType::fp4x2})
      CHECK(kv_dtypes_from_name(kv_dtypes_name({k, v})) == KvDtypes(k, v));
  CHECK_THROWS_WITH_AS(
      kv_dtypes_from_name("k=int8,v=int8-channel"),
      "int8-channel is for K only, because V has no outlier channels: use k=int8-channel,v=int8", UsageError);
  CHECK(kv_dtypes_from_name("int8-channel") == KvDtypes(DType::i8_channel, DType::i8));
  CHECK(kv_dtypes_name({DType::i8_channel, DType::i8}) == "int8-channel");
  CHECK(kv_dtypes_name({DType::i8_channel, DType::f16}) == "k=int8-channel,v=f16");
  for (const char* text : {"k=int8", "k=fp8,k=int8", "int8,fp8", "k=int8, v=fp8", "k=int8,v=fp8,", "=", ","})
    CHECK_THROWS_WITH_AS(kv_dtypes_from_name(text), doctest::Contains("f32 f16 bf16 fp8 int8"), UsageError);
}

TEST_CASE("an error shows the first 80 characters of a long name") {
  const std::string name(5000, 'x'), shown = "'" + name.substr(0, 80) + "'";
  CHECK_THROWS_WITH_AS(kv_dtypes_from_name(name), doctest::Contains(shown.c_str()), UsageError);
  CHECK_THROWS_WITH_AS(kv_dtypes_from_name("k=" + name + ",v=int8"), doctest::Contains(shown.c_str()),
                       UsageError);
  CHECK_THROWS_WITH_AS(kv_dtypes_from_name("k=" + name), doctest::Contains(": use TYPE or"), UsageError);
}

TEST_CASE("int4 and fp4 need an even head_dim") {
  for (const DType dtype : {DType::i4x2, DType::fp4x2}) {
    CHECK_NOTHROW(validate(CacheSpec::contiguous(1, 1, 6, 2, 1, dtype)));
    CHECK_THROWS_WITH_AS(validate(CacheSpec::contiguous(1, 1, 7, 2, 1, {DType::f32, dtype})),
                         doctest::Contains("head_dim 7 is odd"), ShapeError);
  }
}
