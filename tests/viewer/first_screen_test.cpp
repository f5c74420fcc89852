// What stands on the first screen, readable by eye.
#include <doctest/doctest.h>

#include "viewer/view_model/controller.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("the first screen: decode 4, the past absent from Q and kept in K and V") {
  Controller controller;
  const auto view = controller.settle();
  REQUIRE_MESSAGE(view->ready, view->notice->text);
  CHECK(view->transport.banner == "Decode 4 · position 7 · 8 keys");
  CHECK(view->transport.beat == Beat::keep);
  CHECK(view->layer == view->n_layers - 1);
  MESSAGE(to_json(*view));
}
