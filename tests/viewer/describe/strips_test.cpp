// The strip of the whole model: which rows each side computes where.
#include "viewer/view_model/describe/strips.h"

#include <doctest/doctest.h>

#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("decode 4: one row against eight up to the last layer, then one on both sides") {
  Controller controller;
  const ModelStrip strip = controller.settle()->model_strip;
  REQUIRE(strip.nodes.size() == 7);
  CHECK(strip.nodes[0].name == "embed");
  CHECK(strip.nodes[4].name == "layer 3");
  CHECK(strip.nodes[4].selected);
  CHECK(strip.with == "with cache: 1 row");
  CHECK(strip.without == "without: 8 rows");
  for (size_t i = 0; i < 5; ++i) {
    CHECK(strip.nodes[i].rows_with == 1);
    CHECK(strip.nodes[i].rows_without == 8);
  }
  for (size_t i = 5; i < 7; ++i) CHECK(strip.nodes[i].rows_without == 1);
}

TEST_CASE("a poke marks its layer; in prefill both sides compute all rows") {
  Controller controller;
  controller.settle();
  controller.send(SetLayer{1});
  controller.send(PokeRow{Part::k, 2});
  CHECK(controller.settle()->model_strip.nodes[2].poked);
  controller.send(GoToStep{0});
  const ModelStrip strip = controller.settle()->model_strip;
  CHECK(strip.nodes[0].rows_with == 4);
  CHECK(strip.nodes[0].rows_without == 4);
}
