// The tab Cost in the window, with real keys and clicks: it opens, the mouse shows the values of a step, and a
// click goes to that step.
#include <doctest/doctest.h>

#include "viewer/panels/cost_tab.h"
#include "viewer_window/driving.h"

using namespace lastrow::ui;

namespace {

/// The layout of the window with the tab open; its place does not depend on the tokens.
Layout open_layout() {
  lastrow::view::ViewState view;
  view.tab = lastrow::view::Tab::cost;
  return make_layout({kWidth, kHeight}, view);
}

}  // namespace

TEST_CASE("the key and the button open the tab; the mouse shows a step and a click goes there") {
  if (display() == nullptr) return;
  const Folder folder("window_costs");
  ViewerWindow viewer(folder, {"--step", "20"});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("dollar");
  REQUIRE(viewer.becomes(field("tab", "cost")));
  const Layout layout = open_layout();
  const CostTabPlaces places = cost_tab_places(layout.tab);
  const Rect plot = cost_plot_places(places.curve).plot;
  const auto x_of = [&](int step) { return plot.x0 + plot.width() * static_cast<float>(step) / 20; };

  viewer.point(x_of(12), plot.center().y);
  CHECK(viewer.becomes([](const json& s) {
    return s["cost_curves"]["hover"].is_object() && s["cost_curves"]["hover"]["step"] == 12;
  }));
  viewer.click(x_of(7), plot.center().y);
  CHECK(viewer.becomes(field("step", 7)));
  CHECK(viewer.state()["last_step"] == 20);
  viewer.point(kWidth / 2, 200);
  CHECK(viewer.becomes([](const json& s) { return s["cost_curves"]["hover"].is_null(); }));

  viewer.click(places.summary.x1 - 20, places.summary.y0 + 12);  // the last button of the first row
  CHECK(viewer.becomes([](const json& s) { return s["cost_curves"]["quantity"] == "time"; }));
  viewer.click(places.summary.x1 - 20, places.summary.y0 + 40);
  CHECK(viewer.becomes([](const json& s) { return s["cost_curves"]["scale"] == "log"; }));
  viewer.click(layout.tabs.x0 + 20, layout.tabs.center().y);
  CHECK(viewer.becomes(field("tab", "none")));

  // Closed and opened again under a mouse that rests on a step.
  const auto points_at = [](int step) {
    return [step](const json& s) {
      return s["tab"] == "cost" && s["cost_curves"]["hover"].is_object() &&
             s["cost_curves"]["hover"]["step"] == step;
    };
  };
  viewer.key("dollar");
  viewer.point(x_of(15), plot.center().y);
  CHECK(viewer.becomes(points_at(15)));
  viewer.key("dollar");
  CHECK(viewer.becomes(field("tab", "none")));
  viewer.key("dollar");
  CHECK(viewer.becomes(points_at(15)));
}
