// The list of caches in a real window, and a ring and a budget driven by keys and mouse.
#include "viewer_window/driving.h"

using namespace lastrow;
using namespace lastrow::ui;
using namespace lastrow::testing;
using lastrow::view::Part;

namespace {

auto cache_is(const std::string& name) {
  return [=](const json& state) {
    for (const json& choice : state["caches"])
      if (choice["selected"] == true) return choice["name"] == name;
    return false;
  };
}

std::string state_of_k(const json& state, int position) {
  return state["panes"]["cached"]["k"]["rows"][static_cast<size_t>(position)]["state"];
}

/// The middle of an entry of the list of caches, below its button and the sizes.
ImVec2 entry(int i) { return {100, 153.5f + 30 * static_cast<float>(i) + 15}; }

}  // namespace

TEST_CASE(
    "K lists the caches; a click takes one, + makes it longer; keys and mouse work with a ring and a "
    "budget") {
  if (display() == nullptr) return;
  const Folder folder("window_caches");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("k");
  REQUIRE(viewer.becomes(field("open_choices", "caches")));
  viewer.key("Escape");
  REQUIRE(viewer.becomes(field("open_choices", "none")));
  viewer.click(60, 97);  // the button
  REQUIRE(viewer.becomes(field("open_choices", "caches")));
  viewer.click(entry(3).x, entry(3).y);
  REQUIRE(viewer.becomes(cache_is("window:w=8,sinks=2,block=1")));
  viewer.key("k");
  REQUIRE(viewer.becomes(field("open_choices", "caches")));
  for (int rows = 7; rows >= 4; --rows) {
    viewer.click(37, 129);  // −
    REQUIRE(viewer.becomes(cache_is("window:w=" + std::to_string(rows) + ",sinks=2,block=1")));
  }
  viewer.key("Escape");
  for (int step = 5; step <= 8; ++step) {
    viewer.key("shift+Right");
    REQUIRE(viewer.becomes(field("step", step)));
  }
  REQUIRE(viewer.becomes(
      [](const json& s) { return s["panes"]["cached"]["kept"] == "kept after this step: Q 0 · K 5 · V 5"; }));
  // Back over the eviction and forward again; to the start and to the end.
  viewer.key("Left");
  REQUIRE(
      viewer.becomes([](const json& s) { return s["beat"] == "next" && state_of_k(s, 8) == "from_cache"; }));
  viewer.key("Right");
  REQUIRE(
      viewer.becomes([](const json& s) { return s["beat"] == "keep" && state_of_k(s, 8) == "not_stored"; }));
  viewer.key("shift+Left");
  REQUIRE(viewer.becomes([](const json& s) { return s["step"] == 7 && state_of_k(s, 8) == "from_cache"; }));
  viewer.key("Home");
  REQUIRE(viewer.becomes(field("step", 0)));
  viewer.key("End");
  REQUIRE(viewer.becomes([](const json& s) { return s["step"] == 8 && state_of_k(s, 7) == "not_stored"; }));

  const json ring = viewer.state();
  const PaneLayout left = pane_of(ring, Mode::cached);
  const Rect forgotten = left.row(Part::k, 4);
  viewer.point(forgotten.center().x, forgotten.center().y);
  CHECK(viewer.becomes([](const json& s) {
    const std::string line = s["inspector"]["hover_line"];
    return line.starts_with("k[4] is not stored: the cache evicted it in decode 4 (no later query sees it)");
  }));
  viewer.click(forgotten.center().x, forgotten.center().y);
  CHECK(viewer.becomes([](const json& s) {
    return s["inspector"].contains("pinned") &&
           s["inspector"]["pinned"]["provenance"]["its slot"] == "4, now position 11";
  }));
  viewer.key("Escape");

  viewer.key("k");
  REQUIRE(viewer.becomes(field("open_choices", "caches")));
  viewer.click(entry(7).x, entry(7).y);
  REQUIRE(viewer.becomes(cache_is("budget:rows=4,policy=heavy")));
  REQUIRE(viewer.becomes([](const json& s) { return s["step"] == 8 && state_of_k(s, 5) == "not_stored"; }));
  scramble(viewer, left.row(Part::k, 5));
  REQUIRE(viewer.becomes(field("pokes", 1)));
  const json poked = viewer.state();
  CHECK(poked["panes"]["cached"]["badges"][0]["no_effect"] == true);
  CHECK(poked["panes"]["recompute"]["badges"][0]["no_effect"] == false);
  viewer.key("r");
  CHECK(viewer.becomes(field("pokes", 0)));
}
