// Which tokens the panes show.
#include "viewer/view_model/state/token_window.h"

#include <doctest/doctest.h>

#include "viewer/view_model/run/controller.h"
#include "viewer/view_model/state/overview.h"

using namespace lastrow;
using namespace lastrow::view;

TEST_CASE("eight tokens in ten rows: all; a hundred tokens in ten rows: nine and the last") {
  CHECK(window_of(8, 10, kNewest) == TokenWindow{8, 0, 8, false});
  const TokenWindow newest = window_of(100, 10, kNewest);
  CHECK(newest == TokenWindow{100, 90, 9, true});  // 90 … 98, and 99
  CHECK(newest.position(8) == 98);
  CHECK(newest.position(9) == 99);
  const TokenWindow oldest = window_of(100, 10, 0);
  CHECK(oldest.slot(0) == 0);
  CHECK(oldest.slot(8) == 8);
  CHECK(oldest.slot(9) == -1);
  CHECK(oldest.slot(99) == 9);
}

TEST_CASE(
    "any length, room and place: slots and positions are each other's inverse, and the last token is shown") {
  for (const int n : {1, 2, 3, 31, 32, 33, 34, 4096})
    for (const int room : {-5, 1, 2, 13, 32, 1000})
      for (const int first : {-7, 0, 1, 30, 4095, 1 << 30}) {
        const TokenWindow w = window_of(n, room, first);
        CHECK(w.n_shown() <= std::min(n, kMostRows));
        CHECK(w.shows(n - 1));
        for (int slot = 0; slot < w.n_shown(); ++slot) CHECK(w.slot(w.position(slot)) == slot);
      }
}

TEST_CASE("the window follows the newest token until one scrolls, and again at the end") {
  ControllerOptions options;
  options.step = 60;
  Controller controller(options);
  controller.send(SetRoom{20});
  const auto window = [&] { return controller.settle()->window; };
  CHECK(window() == TokenWindow{64, 44, 19, true});
  controller.send(ScrollTokens{-1, ScrollUnit::page});
  CHECK(window().first == 26);
  controller.send(ChangeStep{+1});
  CHECK(window().first == 26);  // it stays where it was
  controller.send(ScrollTokens{+1, ScrollUnit::all});
  CHECK(window().first == 45);
  controller.send(ChangeStep{+1});
  CHECK(window().first == 46);
  controller.send(ScrollTo{-1});
  controller.send(ScrollTokens{1 << 30, ScrollUnit::all});
  controller.send(ScrollTokens{-(1 << 30), ScrollUnit::all});
  CHECK(window().first == 0);
}

TEST_CASE("a pane has an entry for each slot, and bars for every key of the step") {
  ControllerOptions options;
  options.step = 60;
  Controller controller(options);
  controller.send(SetRoom{20});
  controller.send(ScrollTo{3});
  const auto view = controller.settle();
  for (const PaneState& pane : view->panes) {
    REQUIRE(pane.k.rows.size() == 20);
    CHECK(pane.k.rows[0].position == 3);
    CHECK(pane.k.rows[19].position == 63);
    CHECK(pane.labels.size() == 20);
    CHECK(pane.weights.n == 20);
    CHECK(pane.bars.weights.size() == 64);
    CHECK(pane.weights.at(19, 0) == pane.bars.weights[3]);
    REQUIRE(pane.overview);
    CHECK(pane.overview->bins == 64);
  }
  CHECK(view->panes[1].weights.cell(0, 1) == State::masked);
}
