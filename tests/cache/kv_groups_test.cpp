// Rows in int4 and fp4: by eye, then what the header promises for every row.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "cache/kv_groups.h"
#include "core/conversions.h"
#include "core/random.h"

using namespace lastrow;

namespace {

constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN(),
                kInfinite = std::numeric_limits<float>::infinity();

template <typename T>
struct EncodedGroups {
  std::vector<T> stored;
  std::vector<Half> scales;

  float scale(size_t group) const { return to_float(scales[group]); }
  bool same_bits(const EncodedGroups& o) const {
    return stored.size() == o.stored.size() && scales.size() == o.scales.size() &&
           std::memcmp(stored.data(), o.stored.data(), stored.size() * sizeof(T)) == 0 &&
           std::memcmp(scales.data(), o.scales.data(), scales.size() * sizeof(Half)) == 0;
  }
};

template <typename T>
EncodedGroups<T> encoded_groups(const std::vector<float>& row) {
  const auto n = static_cast<int32_t>(row.size());
  EncodedGroups<T> e{std::vector<T>(row.size() / 2), std::vector<Half>(static_cast<size_t>(n_groups(n)))};
  encode_groups(row.data(), n, e.stored.data(), e.scales.data());
  return e;
}

template <typename T>
std::vector<float> decoded(const EncodedGroups<T>& e) {
  std::vector<float> row(2 * e.stored.size());
  decode_groups(e.stored.data(), e.scales.data(), static_cast<int32_t>(row.size()), row.data());
  return row;
}

template <typename T>
constexpr float kLargest = std::is_same_v<T, Fp4x2> ? 6 : 7;

/// Half of the distance between the two numbers around |x|.
template <typename T>
double half_step(double x) {
  if (std::is_same_v<T, Int4x2>) return 0.5;
  return std::abs(x) <= 2 ? 0.25 : std::abs(x) <= 4 ? 0.5 : 1;
}

/// Rows of many even lengths, with elements of all magnitudes from 2^-40 to 2^30.
std::vector<std::vector<float>> rows_of_groups() {
  std::vector<std::vector<float>> rows;
  Random random(17);
  for (int i = 0; i < 4000; ++i) {
    std::vector<float> row(2 * static_cast<size_t>(1 + random.below(70)));
    const int exponent = static_cast<int>(random.below(71)) - 40;
    for (float& x : row) x = static_cast<float>(std::ldexp(random.normal(), exponent));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace

TEST_CASE("int4 by eye: 7 steps to the largest, ties to even, two elements in a byte") {
  const auto e = encoded_groups<Int4x2>({7, -7, 1, 0.5f, 1.5f, -2.5f, 0, 3.4f});
  REQUIRE(e.scales.size() == 1);
  CHECK(e.scale(0) == 1);
  CHECK(e.stored[0].bits == 0x97);  // −7 is 9, and 7 comes first: the low half
  CHECK(decoded(e) == std::vector<float>{7, -7, 1, 0, 2, -2, 0, 3});
}

TEST_CASE("fp4 by eye: 0, 0.5, 1, 1.5, 2, 3, 4, 6 times the scale") {
  const auto e = encoded_groups<Fp4x2>({12, -12, 1, 0.5f, 5, 7, 0, -0.1f});
  REQUIRE(e.scales.size() == 1);
  CHECK(e.scale(0) == 2);
  CHECK(e.stored[0].bits == 0xF7);
  CHECK(decoded(e) == std::vector<float>{12, -12, 1, 0, 4, 8, 0, 0});
}

TEST_CASE_TEMPLATE("a scale for each 32 elements; the last group of 80, and of 16, is shorter", T, Fp4x2,
                   Int4x2) {
  std::vector<float> row(80);
  for (size_t d = 0; d < row.size(); ++d) row[d] = kLargest<T> * (d < 32 ? 1.0f : d < 64 ? 16.0f : 256.0f);
  const auto e = encoded_groups<T>(row);
  REQUIRE(e.scales.size() == 3);
  CHECK(e.stored.size() == 40);
  CHECK(std::vector{e.scale(0), e.scale(1), e.scale(2)} == std::vector{1.0f, 16.0f, 256.0f});
  CHECK(decoded(e) == row);
  CHECK(encoded_groups<T>(std::vector<float>(16, 1)).scales.size() == 1);
  CHECK(encoded_groups<T>(std::vector<float>(34, 1)).scales.size() == 2);
  CHECK(stored_row_bytes(dtype_of<T>, 80) == 40 + 3 * 2);
  CHECK(stored_row_bytes(dtype_of<T>, 16) == 8 + 2);
  CHECK(stored_row_bytes(dtype_of<T>, 128) == 64 + 4 * 2);
}

TEST_CASE_TEMPLATE("NaN or infinity spoils its group, and no other", T, Fp4x2, Int4x2) {
  for (const float bad : {kNoNumber, kInfinite, -kInfinite, -kNoNumber}) {
    std::vector<float> row(80, 1.0f);
    row[40] = bad;
    const std::vector<float> back = decoded(encoded_groups<T>(row));
    for (size_t d = 0; d < row.size(); ++d)
      if (std::isnan(back[d]) != (d >= 32 && d < 64)) FAIL("element ", d, " is ", back[d]);
  }
}

TEST_CASE_TEMPLATE("too small for a scale: zeros; too large: the largest that the type has", T, Fp4x2,
                   Int4x2) {
  const float least = kLargest<T> * 0x1p-21f, most = kLargest<T> * 65504;
  CHECK(encoded_groups<T>({least, 0}).scale(0) == 0x1p-21f);
  CHECK(decoded(encoded_groups<T>({least, 0})) == std::vector<float>{least, 0});
  for (const float x : {0.0f, -0.0f, least * 0.9f, 0x1p-149f}) {
    CHECK(encoded_groups<T>({x, -x}).scale(0) == 0);
    CHECK(decoded(encoded_groups<T>({x, -x})) == std::vector<float>{0, 0});
  }
  CHECK(decoded(encoded_groups<T>({most, -most})) == std::vector<float>{most, -most});
  CHECK(decoded(encoded_groups<T>({1e30f, -1e30f})) == std::vector<float>{most, -most});
  CHECK(decoded(encoded_groups<T>({std::numeric_limits<float>::max(), 1})) == std::vector<float>{most, 0});
}

TEST_CASE_TEMPLATE("off by at most half the distance of two numbers, and decoding is exact", T, Fp4x2,
                   Int4x2) {
  for (const std::vector<float>& row : rows_of_groups()) {
    const auto e = encoded_groups<T>(row);
    const std::vector<float> back = decoded(e);
    for (size_t d = 0; d < row.size(); ++d) {
      const double scale = double{e.scale(d / 32)};
      if (scale == 0 || scale == 65504) continue;
      const uint8_t bits = e.stored[d / 2].bits;
      const double number = double{number_of<T>(d % 2 == 0 ? first_code(bits) : second_code(bits))};
      if (number * scale != double{back[d]}) FAIL("not exact: ", back[d]);
      if (std::abs(double{row[d]} - double{back[d]}) > 1.00002 * scale * half_step<T>(double{row[d]} / scale))
        FAIL(row[d], " became ", back[d], " with scale ", scale);
    }
  }
}

TEST_CASE_TEMPLATE("the largest element of a group gets the largest code", T, Fp4x2, Int4x2) {
  for (const std::vector<float>& row : rows_of_groups()) {
    const auto e = encoded_groups<T>(row);
    const std::vector<float> back = decoded(e);
    for (size_t group = 0; group < e.scales.size(); ++group) {
      float largest = 0;
      for (size_t d = 32 * group; d < std::min(row.size(), 32 * group + 32); ++d)
        largest = std::max(largest, std::abs(back[d]));
      CHECK(largest == kLargest<T> * e.scale(group));
    }
  }
}

TEST_CASE_TEMPLATE("a decoded row encodes to itself, to the bit", T, Fp4x2, Int4x2) {
  for (const std::vector<float>& row : rows_of_groups()) {
    const auto once = encoded_groups<T>(row);
    if (!encoded_groups<T>(decoded(once)).same_bits(once)) FAIL("a row of ", row.size(), " from ", row[0]);
  }
  // Every scale that a group may have, with every code.
  for (uint32_t bits = 8; bits <= 0x7BFF; ++bits) {
    EncodedGroups<T> e{std::vector<T>(8), {Half{static_cast<uint16_t>(bits)}}};
    for (uint32_t i = 0; i < 8; ++i) e.stored[i].bits = packed(2 * i, 2 * i + 1);
    if (std::is_same_v<T, Int4x2>) e.stored[4].bits = packed(9, 9);  // −8 is never written
    if (!encoded_groups<T>(decoded(e)).same_bits(e)) FAIL("scale ", e.scale(0));
  }
}
