#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "core/conversions.h"
#include "core/random.h"

using namespace lastrow;

TEST_CASE("f16 by eye") {
  CHECK(to_half(1.0f).bits == 0x3C00);
  CHECK(to_half(-2.0f).bits == 0xC000);
  CHECK(to_half(65504.0f).bits == 0x7BFF);         // the largest
  CHECK(to_half(65520.0f).bits == 0x7C00);         // rounds to infinity
  CHECK(to_half(0x1p-24f).bits == 0x0001);         // the smallest
  CHECK(to_half(0x1p-25f).bits == 0x0000);         // a tie rounds to even
  CHECK(to_half(1.0f + 0x1p-11f).bits == 0x3C00);  // a tie rounds to even
  CHECK(to_half(1.0f + 3 * 0x1p-11f).bits == 0x3C02);
  CHECK(to_float(Half{0x3555}) == doctest::Approx(1.0 / 3).epsilon(1e-3));
}

TEST_CASE("bf16 and fp8 by eye") {
  CHECK(to_bfloat16(1.0f).bits == 0x3F80);
  CHECK(to_bfloat16(1.0f + 0x1p-8f).bits == 0x3F80);  // a tie rounds to even
  CHECK(to_bfloat16(1.0f + 3 * 0x1p-8f).bits == 0x3F82);
  CHECK(to_fp8_e4m3(1.0f).bits == 0x38);
  CHECK(to_fp8_e4m3(448.0f).bits == 0x7E);  // the largest
  CHECK(to_fp8_e4m3(1e9f).bits == 0x7E);    // saturates
  CHECK(to_fp8_e4m3(-1e9f).bits == 0xFE);
  CHECK(to_fp8_e4m3(0x1p-9f).bits == 0x01);  // the smallest
  CHECK(to_float(Fp8E4M3{0x7E}) == 448.0f);
}

TEST_CASE("every narrow value stays the same through f32 and back") {
  for (uint32_t i = 0; i <= 0xFFFF; ++i) {
    const Half h{static_cast<uint16_t>(i)};
    if (std::isnan(to_float(h))) {
      CHECK(std::isnan(to_float(to_half(to_float(h)))));
    } else if (to_half(to_float(h)).bits != i) {
      FAIL("f16 ", i);
    }
    const BFloat16 b{static_cast<uint16_t>(i)};
    if (!std::isnan(to_float(b)) && to_bfloat16(to_float(b)).bits != i) FAIL("bf16 ", i);
    if (i > 0xFF) continue;
    const Fp8E4M3 f{static_cast<uint8_t>(i)};
    if (!std::isnan(to_float(f)) && to_fp8_e4m3(to_float(f)).bits != i) FAIL("fp8 ", i);
  }
}

TEST_CASE("f16 rounds as the compiler's own half type does") {
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 4099) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (std::isnan(x)) continue;
    const auto expected = static_cast<_Float16>(x);
    if (std::bit_cast<uint16_t>(expected) != to_half(x).bits) FAIL("f16 of ", x);
  }
}

TEST_CASE(
    "a double is rounded only once: just above a tie it goes up, which a detour through float would miss") {
  const double above_tie = 1 + 0x1p-11 + 0x1p-40;  // 1 + 2^-11 is halfway between two f16 numbers
  CHECK(to_half(static_cast<float>(above_tie)).bits == 0x3C00);
  CHECK(to_half(above_tie).bits == 0x3C01);
  CHECK(to_half(-above_tie).bits == 0xBC01);
  CHECK(to_half(1 + 0x1p-11).bits == 0x3C00);
  CHECK(to_bfloat16(1 + 0x1p-8 + 0x1p-40).bits == 0x3F81);
  CHECK(to_fp8_e4m3(1 + 0x1p-4 + 0x1p-40).bits == 0x39);
  CHECK(to_half(0x1p-25 + 0x1p-60).bits == 0x0001);  // just above half of the smallest number
  CHECK(to_half(65520 - 0x1p-30).bits == 0x7BFF);    // just below what rounds to infinity
  CHECK(to_half(65520.0).bits == 0x7C00);
  CHECK(to_bfloat16(0x1p-134 + 0x1p-180).bits == 0x0001);
  CHECK(to_bfloat16(1e300).bits == 0x7F80);
  CHECK(to_half(1e-320).bits == 0);
  CHECK(to_half(-std::numeric_limits<double>::infinity()).bits == 0xFC00);
  CHECK(std::isnan(to_float(to_fp8_e4m3(std::numeric_limits<double>::quiet_NaN()))));
}

TEST_CASE("rounding to odd is exact, or gives the neighbouring float whose last bit is set") {
  Random random(5);
  for (int i = 0; i < 200'000; ++i) {
    const uint64_t high = random.next_u32(), low = random.next_u32();
    // Exponents from far below those of f32 to far above, and random fractions.
    const double x =
        std::bit_cast<double>(((high % 400 + 823) << 52) | (high >> 31 << 63) | (low << 20) | high >> 12);
    const float odd = round_to_odd(x);
    const double back = odd;
    if (back == x) continue;
    const bool is_odd = (std::bit_cast<uint32_t>(odd) & 1u) != 0;
    const float outward = std::nextafter(odd, x > back ? HUGE_VALF : -HUGE_VALF);
    const bool next_to_it = std::isinf(outward) || (back < x ? x < outward : x > outward);
    if (!is_odd || !next_to_it) FAIL("round_to_odd of ", x, " is ", odd);
  }
  for (const float x : {0.0f, -0.0f, 1.5f, 0x1p-149f, -0x1.fffffep127f})
    CHECK(std::bit_cast<uint32_t>(round_to_odd(x)) == std::bit_cast<uint32_t>(x));
}

TEST_CASE("f16 of a double rounds as the compiler's own half type does") {
  Random random(6);
  for (int i = 0; i < 200'000; ++i) {
    const double x = std::ldexp(random.uniform() - 0.5, static_cast<int>(random.below(48)) - 28);
    const auto expected = static_cast<_Float16>(x);
    if (std::bit_cast<uint16_t>(expected) != to_half(x).bits) FAIL("f16 of ", x);
  }
}
