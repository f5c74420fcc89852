// Pokes with real keys and clicks: undo, redo, the list of pokes, and Esc in the menu.
#include <doctest/doctest.h>

#include "viewer_window/driving.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;

namespace {

auto menu_is_open(bool open) {
  return [=](const json& s) { return s["poke_menu"].is_null() != open; };
}
auto entries(size_t n) {
  return [=](const json& s) { return s["poke_list"]["entries"].size() == n; };
}

}  // namespace

TEST_CASE("Ctrl+Z and Ctrl+Y undo and redo pokes, across steps") {
  if (display() == nullptr) return;
  const Folder folder("window_undo");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const PaneLayout left = pane_of(viewer.state(), Mode::cached);
  scramble(viewer, place_of(left, {Mode::cached, Part::k, 3, -1}));
  REQUIRE(viewer.becomes(field("pokes", 1)));
  viewer.key("ctrl+z");
  REQUIRE(viewer.becomes(field("pokes", 0)));
  viewer.key("ctrl+y");
  REQUIRE(viewer.becomes(field("pokes", 1)));
  viewer.key("ctrl+z");
  REQUIRE(viewer.becomes(field("pokes", 0)));
  viewer.key("ctrl+shift+z");  // redo, not a second undo
  REQUIRE(viewer.becomes(field("pokes", 1)));
  viewer.key("shift+Left");
  REQUIRE(viewer.becomes(field("step", 3)));
  CHECK(viewer.becomes(field("pokes", 0)));
  CHECK(viewer.becomes(entries(1)));  // it waits in the list
  viewer.key("ctrl+z");
  CHECK(viewer.becomes(entries(0)));
  viewer.key("ctrl+y");
  CHECK(viewer.becomes(entries(1)));
  viewer.key("shift+Right");
  CHECK(viewer.becomes(field("pokes", 1)));
  CHECK(read_text(viewer.log()).empty());
}

TEST_CASE("Esc closes the menu of pokes, and the same right click opens it again") {
  if (display() == nullptr) return;
  const Folder folder("window_poke_menu");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const Rect row = place_of(pane_of(viewer.state(), Mode::cached), {Mode::cached, Part::v, 5, -1});
  for (int i = 0; i < 2; ++i) {
    viewer.click(row.center().x, row.center().y, 3);
    REQUIRE(viewer.becomes(menu_is_open(true)));
    // The elbow shows the row of the menu, wherever the mouse goes.
    viewer.point(row.center().x, row.y0 - 60);
    CHECK(viewer.becomes([](const json& s) { return s["crosshair"]["s"] == 5; }));
    viewer.key("Escape");
    REQUIRE(viewer.becomes(menu_is_open(false)));
  }
  viewer.point(row.center().x, row.center().y);  // nothing of the menu lies over the pane any more
  CHECK(viewer.becomes([](const json& s) { return !s["inspector"]["hovered"].is_null(); }));
}

TEST_CASE("in the prompt box Ctrl+Z belongs to the text") {
  if (display() == nullptr) return;
  const Folder folder("window_undo_prompt");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const PaneLayout left = pane_of(viewer.state(), Mode::cached);
  scramble(viewer, place_of(left, {Mode::cached, Part::k, 3, -1}));
  REQUIRE(viewer.becomes(field("pokes", 1)));
  viewer.key("i");
  REQUIRE(viewer.becomes(field("prompt_open", true)));
  viewer.key("ctrl+z");
  viewer.key("Escape");
  REQUIRE(viewer.becomes(field("prompt_open", false)));
  CHECK(viewer.state()["pokes"] == 1);
}
