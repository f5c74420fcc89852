// The sentence above the panes: in a lower layer it says which layer this is, and who reads its rows.
#include <doctest/doctest.h>

#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

std::string sentence_at(Controller& controller, int layer, Beat beat) {
  controller.send(SetLayer{layer});
  controller.send(GoToBeat{beat});
  return controller.settle()->sentence.text;
}

}  // namespace

TEST_CASE("in the last layer and in a lower layer") {
  Controller controller;
  controller.settle();
  CHECK(sentence_at(controller, 3, Beat::project) ==
        "① Left computes 1 row of Q, K and V; right computes all 8 rows again.");
  CHECK(sentence_at(controller, 1, Beat::project) ==
        "① Layer 1: left computes 1 row of Q, K and V; right computes all 8 rows again.");
  CHECK(sentence_at(controller, 1, Beat::append) ==
        "② Every layer keeps its own K and V. In layer 1 left adds one row to each.");
  CHECK(sentence_at(controller, 1, Beat::score) ==
        "③ The last query meets 8 keys. Right also scores 7 past queries, because layer 2 needs their rows.");
  CHECK(sentence_at(controller, 1, Beat::sum) ==
        "③ Weights times values give output rows. Layer 2 needs 1 of them on the left, all 8 on the right.");
  CHECK(sentence_at(controller, 1, Beat::next)
            .starts_with(
                "④ The layers above do the same. Then only the last row decides: both sides choose “"));
  CHECK(sentence_at(controller, 1, Beat::keep) ==
        "④ Every layer keeps its own K and V; this is layer 1. Right keeps nothing in any layer.");
  CHECK(sentence_at(controller, 3, Beat::keep) ==
        "④ Left keeps K and V and drops Q; right drops everything and starts again.");
  controller.send(GoToStep{0, false});
  controller.settle();
  CHECK(sentence_at(controller, 0, Beat::keep) ==
        "Prefill: both sides do the same work; left keeps K and V of every layer.");
}

TEST_CASE("there is always a way to start the tour") {
  Controller controller;
  CHECK(controller.settle()->sentence.hint == "Enter: one-minute tour · Esc: explore");
  controller.send(Escape{});
  CHECK(controller.settle()->sentence.hint == "Enter: tour");
  controller.send(Confirm{});
  controller.frame(1);
  controller.send(Escape{});
  CHECK(controller.settle()->sentence.hint == "Enter: tour");
}
