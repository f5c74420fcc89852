// Scrolling a long context in the window, with real keys and a real mouse.
#include <doctest/doctest.h>

#include <algorithm>

#include "viewer/panels/overview.h"
#include "viewer/panels/scroll.h"
#include "viewer_window/driving.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;

TEST_CASE(
    "a long context is scrolled by wheel, keys, bar and overview, and follows the newest token at the end") {
  if (display() == nullptr) return;
  const Folder folder("window_scroll");
  constexpr int kStep = 60;
  ViewerWindow viewer(folder, {"--step", std::to_string(kStep)});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const auto first_is = [&](int first) {
    return viewer.becomes([=](const json& s) { return s["panes"]["cached"]["window"]["first"] == first; },
                          10);
  };
  const PaneLayout newest = pane_of(viewer.state(), Mode::cached);
  const int n = newest.window.n, last = newest.window.last_first();
  REQUIRE(last > n);
  CHECK(first_is(last));
  viewer.key("Up");
  CHECK(first_is(last - 1));
  viewer.key("Down");
  CHECK(first_is(last));
  viewer.key("Prior");
  CHECK(first_is(last - (n - 1)));
  viewer.key("Next");
  CHECK(first_is(last));
  const ImVec2 cell = newest.row(Part::k, newest.window.position(2)).center();
  viewer.click(cell.x, cell.y, 4);  // the wheel, upwards
  CHECK(first_is(last - 3));
  viewer.key("ctrl+Home");
  CHECK(first_is(0));
  // What stands at the top of K is the first token, and the pinned row is the last one.
  viewer.point(cell.x, cell.y);
  CHECK(viewer.becomes([](const json& s) { return s["inspector"]["hovered"]["row"] == 2; }, 10));
  const ImVec2 pinned = newest.row(Part::k, newest.window.n_tokens - 1).center();
  viewer.point(pinned.x, pinned.y);
  CHECK(viewer.becomes([&](const json& s) { return s["inspector"]["hovered"]["row"] == 63; }, 10));
  viewer.key("ctrl+End");
  CHECK(first_is(last));

  const ScrollBar bar = scroll_bar(newest);
  viewer.drag(bar.thumb.center().x, bar.thumb.center().y, bar.thumb.center().x, bar.track.y0);
  CHECK(first_is(0));
  viewer.click(bar.track.center().x, bar.track.y1 - 1);  // pressed beside the thumb: it comes there
  CHECK(first_is(last));
  Rect room = newest.kept;
  const OverviewLayout overview = overview_layout(room);
  viewer.click(overview.k.center().x, overview.matrix.y0 + 2);
  CHECK(first_is(0));
  viewer.drag(overview.k.center().x, overview.matrix.y0 + 2, overview.k.center().x,
              overview.matrix.center().y);
  CHECK(viewer.becomes(
      [&](const json& s) {
        const int first = s["panes"]["cached"]["window"]["first"];
        return first > 0 && first < last;
      },
      10));
  viewer.key("ctrl+End");
  CHECK(first_is(last));
  CHECK(viewer.state()["step"] == kStep);  // none of it was taken for a step

  viewer.key("shift+Right");  // at the end the newest stays in sight
  REQUIRE(viewer.becomes(field("step", kStep + 1)));
  CHECK(first_is(last + 1));
}
