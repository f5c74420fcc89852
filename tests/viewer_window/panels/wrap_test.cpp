// Chips side by side, row below row.
#include "viewer/panels/wrap.h"

#include <doctest/doctest.h>

using namespace lastrow::ui;

TEST_CASE("what does not fit goes to the next row") {
  const float widths[] = {40, 40, 30, 200, 10};
  const Wrapped w = wrap(widths, 100, 20, 5);
  REQUIRE(w.places.size() == 5);
  CHECK(w.n_rows == 4);
  CHECK(w.height == 95);
  CHECK(w.places[1].x0 == 45);
  CHECK(w.places[2].x0 == 0);
  CHECK(w.places[2].y0 == 25);
  CHECK(w.places[3].width() == 100);  // wider than the room: as wide as the room
  CHECK(w.places[4].y0 == 75);
  CHECK(wrap({}, 100, 20, 5).height == 0);
}
