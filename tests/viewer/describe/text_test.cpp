// How numbers are spelt.
#include "viewer/view_model/describe/text.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace lastrow::view;

TEST_CASE("numbers are spelt one way") {
  CHECK(number(0) == "0");
  CHECK(number(1.2345) == "1.23");
  CHECK(number(-12.5) == "−12.5");
  CHECK(number(0.00031) == "0.000310");
  CHECK(number(1234.5) == "1234");
  CHECK(number(1e-9) == "1.00e-09");
  CHECK(number(NAN) == "NaN");
  CHECK(number(-INFINITY) == "−∞");
  CHECK(rough(0.376) == "0.38");
  CHECK(rough(0.996) == "1.0");
  CHECK(count(999999) == "999,999");
  CHECK(count(1234567) == "1.23 M");
  CHECK(count(123456789) == "123 M");
  CHECK(bytes(640) == "640 B");
  CHECK(bytes(36864) == "36.0 KiB");
  CHECK(ratio(4, 32) == "8×");
  CHECK(ratio(4, 5) == "1.2×");
  CHECK(ratio(0, 5) == "—");
  CHECK(plural(1, "query") == "1 query");
  CHECK(plural(2, "query") == "2 queries");
  CHECK(plural(8, "key") == "8 keys");
}
