// From values to colours.
#include "viewer/view_model/describe/value_scales.h"

#include <doctest/doctest.h>

#include <cmath>

#include "viewer/view_model/run/sessions.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("a scale goes through 0, is odd, never falls, and ends at ±1") {
  const ValueScale scale{8, 0.5f};
  CHECK(scale.at(0) == 0);
  CHECK(scale.at(8) == doctest::Approx(1));
  CHECK(scale.at(-8) == doctest::Approx(-1));
  CHECK(scale.at(100) == 1);
  CHECK(scale.at(0.5f) > 0.2f);  // a small value is seen
  for (float x = 0; x < 8; x += 0.25f) {
    CHECK(scale.at(x) < scale.at(x + 0.25f));
    CHECK(scale.value_at(scale.at(x)) == doctest::Approx(x).epsilon(1e-3));
  }
}

TEST_CASE("in every layer the largest magnitude gets the full colour, and one of twenty values a clear one") {
  Progress progress;
  Sessions sessions(progress);
  const Snapshot s = *sessions.reach({"fable-mha", "the quick brown fox", "eigen", 4}).snapshot;
  for (size_t layer = 0; layer < 4; ++layer) {
    const LayerData& l = s.now->side(Mode::cached).layers[layer];
    const ValueScale& scale = s.setup->scales[layer].k;
    int clear = 0, n = 0;
    for (float x : static_cast<const std::vector<float>&>(l.k)) {
      CHECK(std::fabs(x) <= scale.largest * 1.001f);
      clear += std::fabs(scale.at(x)) >= 0.75f;
      ++n;
    }
    CHECK(clear * 20 >= n);
  }
}
