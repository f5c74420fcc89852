// The row that decides, worked out: its numbers are those of the trace, and appear when their beat is reached.
#include <doctest/doctest.h>

#include <numeric>

#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("the first screen's row 7, worked out") {
  Controller controller;
  const WorkedExample e = controller.settle()->inspector.example;
  CHECK(e.title == "How row 7 decides");
  CHECK(e.score_line == "q[7]·k[3] / √16 = 28.9 / 4.00 = 7.24");
  REQUIRE(e.keys.size() == 5);
  CHECK(e.keys[0].name == "3 fox");
  CHECK(e.keys[0].score == "7.24");
  CHECK(e.keys[4].name == "4 others");
  CHECK(e.output_line.starts_with("out[0] = 0.77·"));
}

TEST_CASE("shares add up to 1, the largest first, at any length") {
  for (const int step : {0, 1, 9, 40}) {
    ControllerOptions options;
    options.step = step;
    Controller controller(options);
    const WorkedExample e = controller.settle()->inspector.example;
    const double sum = std::accumulate(e.keys.begin(), e.keys.end(), 0.0,
                                       [](double s, const ExampleKey& k) { return s + double{k.share}; });
    CHECK(sum == doctest::Approx(1).epsilon(1e-4));
    for (size_t i = 1; i + 1 < e.keys.size(); ++i) CHECK(e.keys[i].share <= e.keys[i - 1].share);
  }
}

TEST_CASE("a part of the example appears with its beat") {
  Controller controller;
  const auto at = [&](Beat beat) {
    controller.send(GoToBeat{beat});
    return controller.settle()->inspector.example;
  };
  CHECK(at(Beat::append).score_line.empty());
  CHECK_FALSE(at(Beat::score).score_line.empty());
  CHECK(at(Beat::mask).keys.empty());
  CHECK_FALSE(at(Beat::softmax).keys.empty());
  CHECK(at(Beat::softmax).output_line.empty());
  CHECK_FALSE(at(Beat::sum).output_line.empty());
}
