// Numbers in text: only decimal digits make a whole number.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

#include "core/number.h"

using namespace lastrow;

TEST_CASE("whole numbers are decimal, also with leading zeros") {
  CHECK(whole_number<int32_t>("10") == 10);
  CHECK(whole_number<int32_t>("010") == 10);
  CHECK(whole_number<int32_t>("08") == 8);
  CHECK(whole_number<int32_t>("-3") == -3);
  CHECK(whole_number<uint64_t>("18446744073709551615") == UINT64_MAX);
  for (const char* text : {"", "-", "ten", "0x10", "1e3", "+1", " 1", "1 ", "1.0", "2147483648"})
    CHECK_FALSE(whole_number<int32_t>(text).has_value());
  CHECK_FALSE(whole_number<uint64_t>("-1").has_value());
}

TEST_CASE("leading zeros are removed, and text that is not a number stays as it is") {
  CHECK(without_leading_zeros("010") == "10");
  CHECK(without_leading_zeros("-0010") == "-10");
  CHECK(without_leading_zeros("000") == "0");
  CHECK(without_leading_zeros("0x10") == "0x10");
  CHECK(without_leading_zeros("") == "");
  CHECK(why_no_whole_number("08") == "");
  for (const char* text : {"", "-", "0x10", "0b1", "1'000", "+1", "1 "})
    CHECK(why_no_whole_number(text).find("is not a whole number") != std::string::npos);
}

TEST_CASE("a real number too small for a float is 0, one too large is an error") {
  CHECK(real_number("0.125") == 0.125f);
  CHECK(real_number("-2e-3") == -2e-3f);
  CHECK(real_number("1e-45") == 0x1p-149f);  // the smallest positive float
  CHECK(real_number("1e-46") == 0.0f);
  CHECK(real_number("1e-999") == 0.0f);
  CHECK(std::signbit(real_number("-1e-46").value()));
  for (const char* text : {"", "1e39", "-1e999", "inf", "nan", "1,5", "0.5 ", "x", "1e-46x"})
    CHECK_FALSE(real_number(text).has_value());
}
