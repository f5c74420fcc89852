#include <doctest/doctest.h>

#include <cmath>

#include "core/dtype.h"
#include "core/error.h"

using namespace lastrow;

TEST_CASE("f16 by eye") {
  CHECK(to_half(1.0f).bits == 0x3C00);
  CHECK(to_half(-2.0f).bits == 0xC000);
  CHECK(to_half(65504.0f).bits == 0x7BFF);         // the largest
  CHECK(to_half(65520.0f).bits == 0x7C00);         // rounds to infinity
  CHECK(to_half(0x1p-24f).bits == 0x0001);         // the smallest
  CHECK(to_half(0x1p-25f).bits == 0x0000);         // a tie: to even
  CHECK(to_half(1.0f + 0x1p-11f).bits == 0x3C00);  // a tie: to even
  CHECK(to_half(1.0f + 3 * 0x1p-11f).bits == 0x3C02);
  CHECK(to_float(Half{0x3555}) == doctest::Approx(1.0 / 3).epsilon(1e-3));
}

TEST_CASE("bf16 and fp8 by eye") {
  CHECK(to_bfloat16(1.0f).bits == 0x3F80);
  CHECK(to_bfloat16(1.0f + 0x1p-8f).bits == 0x3F80);  // a tie: to even
  CHECK(to_bfloat16(1.0f + 3 * 0x1p-8f).bits == 0x3F82);
  CHECK(to_fp8_e4m3(1.0f).bits == 0x38);
  CHECK(to_fp8_e4m3(448.0f).bits == 0x7E);  // the largest
  CHECK(to_fp8_e4m3(1e9f).bits == 0x7E);    // saturates
  CHECK(to_fp8_e4m3(-1e9f).bits == 0xFE);
  CHECK(to_fp8_e4m3(0x1p-9f).bits == 0x01);  // the smallest
  CHECK(to_float(Fp8E4M3{0x7E}) == 448.0f);
}

TEST_CASE("every narrow value survives the way to f32 and back") {
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

TEST_CASE("names of types") {
  CHECK(name_of(DType::bf16) == "bf16");
  CHECK(dtype_from_name("fp8") == DType::fp8_e4m3);
  CHECK_THROWS_WITH_AS(dtype_from_name("f12"), doctest::Contains("use one of f64 f32"), UsageError);
}
