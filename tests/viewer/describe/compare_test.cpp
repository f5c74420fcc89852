// How far two rows are apart.
#include "viewer/view_model/describe/compare.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace lastrow::view;

TEST_CASE("the distance of two rows in ULP: 0 for the same bits, -1 where only one is not a number") {
  const float a[] = {1.0f, -2.0f}, b[] = {1.0f, std::nextafter(-2.0f, 0.0f)}, c[] = {1.0f, NAN};
  CHECK(row_distance_ulp(a, a, 2) == 0);
  CHECK(row_distance_ulp(a, b, 2) == 1);
  CHECK(row_distance_ulp(a, c, 2) == -1);
  CHECK(row_distance_ulp(c, c, 2) == 0);
}

TEST_CASE("the largest change: 0 for equal values, infinite where only one is not a number") {
  const float a[] = {1.0f, -2.0f, 0.5f}, b[] = {1.0f, -2.5f, 0.25f}, c[] = {1.0f, NAN, 0.5f};
  CHECK(largest_change(a, a, 3) == 0);
  CHECK(largest_change(a, b, 3) == 0.5);
  CHECK(std::isinf(largest_change(a, c, 3)));
  CHECK(largest_change(c, c, 3) == 0);
}
