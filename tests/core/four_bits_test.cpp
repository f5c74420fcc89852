// fp4 and int4: the sixteen codes by eye, ties, what saturates, and that every code comes back.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/four_bits.h"
#include "core/random.h"

using namespace lastrow;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

/// The numbers of the eight codes without a sign.
constexpr float kFp4[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

}  // namespace

TEST_CASE("the sixteen numbers of fp4 and of int4") {
  for (uint32_t code = 0; code < 8; ++code) {
    CHECK(fp4_number(code) == kFp4[code]);
    CHECK(fp4_number(code + 8) == -kFp4[code]);
    CHECK(std::signbit(fp4_number(code + 8)));
    CHECK(int4_number(code) == static_cast<float>(code));
    CHECK(int4_number(code + 8) == static_cast<float>(code) - 8);
  }
}

TEST_CASE("two codes share a byte, the first in the low half") {
  CHECK(packed(0x3, 0xA) == 0xA3);
  CHECK(first_code(0xA3) == 0x3);
  CHECK(second_code(0xA3) == 0xA);
}

TEST_CASE("every code comes back from its number; int4 never writes −8") {
  for (uint32_t code = 0; code < 16; ++code) {
    CHECK(fp4_code(fp4_number(code)) == code);
    if (code != 8) CHECK(int4_code(int4_number(code)) == code);
  }
  CHECK(int4_code(-8) == 9);  // −7
}

TEST_CASE("the nearest number, and of two equally near ones that with the even code") {
  const auto fp4 = [](float x) { return fp4_number(fp4_code(x)); };
  const auto int4 = [](float x) { return int4_number(int4_code(x)); };
  constexpr std::pair<float, float> kTies[] = {{0.25f, 0}, {0.75f, 1}, {1.25f, 1}, {1.75f, 2},
                                               {2.5f, 2},  {3.5f, 4},  {5, 4}};
  for (const auto& [tie, rounded] : kTies)
    for (const float sign : {1.0f, -1.0f}) {
      CHECK(fp4(sign * tie) == sign * rounded);
      const float below = std::nextafter(tie, 0.0f), above = std::nextafter(tie, kInf);
      CHECK(fp4(sign * below) == sign * *(std::upper_bound(kFp4, kFp4 + 8, tie) - 1));
      CHECK(fp4(sign * above) == sign * *std::upper_bound(kFp4, kFp4 + 8, tie));
    }
  for (const float x : {0.5f, -0.5f, 1.5f, -2.5f, 6.5f, -6.5f}) CHECK(int4(x) == std::nearbyint(x));
  Random random(7);
  for (int i = 0; i < 10'000; ++i) {
    const auto x = static_cast<float>(8 * random.uniform() - 4);
    CHECK(int4(x) == std::nearbyint(x));
    float nearest = 6;
    for (const float number : kFp4)
      for (const float signed_number : {number, -number})
        if (std::abs(x - signed_number) < std::abs(x - nearest)) nearest = signed_number;
    CHECK(std::abs(x - fp4(x)) == std::abs(x - nearest));
  }
}

TEST_CASE("too large: ±6 and ±7; NaN: 0") {
  for (const float x : {7.0f, 1e30f, kInf}) {
    CHECK(fp4_number(fp4_code(x)) == 6);
    CHECK(fp4_number(fp4_code(-x)) == -6);
  }
  for (const float x : {7.5f, 100.0f, 1e30f, kInf}) {
    CHECK(int4_number(int4_code(x)) == 7);
    CHECK(int4_number(int4_code(-x)) == -7);
  }
  for (const float x : {kNaN, -kNaN}) {
    CHECK(fp4_code(x) == 0);
    CHECK(int4_code(x) == 0);
  }
}
