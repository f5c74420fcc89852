// Scrolling a long context in the window, with real keys and a real mouse.
#include <doctest/doctest.h>

#include <algorithm>

#include "viewer/panels/scroll.h"
#include "viewer_window/driving.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;

TEST_CASE(
    "a long context is scrolled by wheel, keys and bar, and follows the newest token again at the end") {
  if (display() == nullptr) return;
  const Folder folder("window_scroll");
  constexpr int kStep = 60;
  ViewerWindow viewer(folder, {"--step", std::to_string(kStep)});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const json state = viewer.state();
  const int n = state["panes"]["cached"]["n_tokens"];
  const PaneLayout newest = pane_of(state, Mode::cached);
  REQUIRE(newest.n_rows < n);
  REQUIRE(newest.n_columns < n);
  const int last_row = n - newest.n_rows, last_column = n - newest.n_columns;
  // What stands at the top left of K, and of the scores' last row in sight, says where one has scrolled to.
  const ImVec2 top = place_of(newest, {Mode::cached, Part::k, newest.first_row, 0}).center();
  const Rect corner = newest.cell(n - 1, newest.first_column);
  const auto first_row_is = [&](int row) {
    viewer.point(top.x, top.y + 300);
    viewer.point(top.x, top.y);
    return viewer.becomes(
        [=](const json& s) {
          const json& h = s["inspector"]["hovered"];
          return !h.is_null() && h["part"] == "k" && h["row"] == row;
        },
        10);
  };
  const auto first_column_is = [&](int column) {
    viewer.point(top.x, top.y);
    viewer.point(corner.center().x, corner.center().y);
    return viewer.becomes(
        [=](const json& s) {
          const json& h = s["inspector"]["hovered"];
          return !h.is_null() && h["column"] == column;
        },
        10);
  };
  CHECK(first_row_is(last_row));
  viewer.key("Up");
  CHECK(first_row_is(last_row - 1));
  viewer.key("Down");
  CHECK(first_row_is(last_row));
  viewer.key("Prior");
  CHECK(first_row_is(std::max(0, last_row - (newest.n_rows - 1))));
  viewer.key("Next");
  CHECK(first_row_is(last_row));
  viewer.click(top.x, top.y, 4);  // the wheel, upwards
  CHECK(first_row_is(last_row - 3));
  CHECK(first_column_is(last_column));
  viewer.key("ctrl+Left");
  CHECK(first_column_is(std::max(0, last_column - (newest.n_columns - 1))));
  viewer.key("ctrl+Home");
  CHECK(first_row_is(0));
  CHECK(first_column_is(0));
  viewer.key("ctrl+End");
  CHECK(first_row_is(last_row));

  const ScrollBar rows = row_bar(newest), columns = column_bar(newest);
  viewer.drag(rows.thumb.center().x, rows.thumb.center().y, rows.thumb.center().x, rows.track.y0);
  CHECK(first_row_is(0));
  viewer.drag(columns.thumb.center().x, columns.thumb.center().y, columns.track.x0, columns.thumb.center().y);
  CHECK(first_column_is(0));
  viewer.click(rows.track.center().x, rows.track.y1 - 1);  // pressed beside the thumb: it comes there
  CHECK(first_row_is(last_row));
  CHECK(viewer.state()["step"] == kStep);  // none of it was taken for a step

  viewer.key("shift+Right");  // at the end the newest stays in sight
  REQUIRE(viewer.becomes(field("step", kStep + 1)));
  CHECK(first_row_is(last_row + 1));
}
