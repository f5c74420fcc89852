// Numbers that no button sends: each gives an error message, or the nearest valid number is used.
#include <doctest/doctest.h>

#include <climits>
#include <limits>

#include "viewer/small_controllers.h"
#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("a speed that is no number changes nothing") {
  Controller controller(small());
  controller.send(SetSpeed{2});
  controller.send(SetSpeed{std::numeric_limits<double>::quiet_NaN()});
  const auto view = controller.settle();
  CHECK(view->transport.speed == 2);
  REQUIRE(view->notice);
  CHECK(view->notice->text == "the speed is a number from 0.25 to 4");
  controller.send(SetSpeed{std::numeric_limits<double>::infinity()});
  CHECK(controller.settle()->transport.speed == 4);
}

TEST_CASE("the largest and the smallest numbers lead to the ends, not beyond") {
  Controller controller(small());
  controller.settle();
  controller.send(ChangeStep{INT_MAX});
  CHECK(controller.settle()->n_tokens == 12);  // the whole context
  controller.send(ChangeStep{INT_MIN});
  CHECK(controller.settle()->notice->text == "this is the first step: the prefill");
  controller.send(ChangeLayer{INT_MIN});
  CHECK(controller.settle()->layer == 0);
  controller.send(ChangeLayer{INT_MAX});
  CHECK(controller.settle()->layer == 0);
  controller.send(ChangeBeat{INT_MIN});
  CHECK(controller.settle()->transport.step == 8);
}

TEST_CASE("what is not there cannot be pointed at") {
  Controller controller(small());
  controller.settle();
  for (const Target& target :
       {Target{Mode::cached, Part::k, 5, 0}, Target{Mode::cached, Part::k, -1, 0},
        Target{Mode::cached, Part::k, 1, 8}, Target{Mode::cached, Part::token, 1, 99},
        Target{Mode::cached, Part::weight, 1, 5}, Target{Mode::cached, Part::v, 1, -9}}) {
    CAPTURE(target.row);
    CAPTURE(target.column);
    controller.send(Hover{target});
    CHECK_FALSE(controller.settle()->inspector.hovered);
    controller.send(Pin{target});
    CHECK_FALSE(controller.settle()->inspector.pinned);
  }
}
