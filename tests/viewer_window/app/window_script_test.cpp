// The tour and scripts in the window.
#include <doctest/doctest.h>

#include <algorithm>

#include "viewer/platform/image.h"
#include "viewer_window/driving.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;

namespace {

/// The row that the tour asks to be poked; −1: none.
int asked_row(const json& state) {
  for (const json& row : state["panes"]["cached"]["q"]["rows"])
    if (row.value("asked", false)) return row["position"];
  return -1;
}

}  // namespace

TEST_CASE("the whole tour with Enter, the poke it asks for, and its last sentence") {
  if (display() == nullptr) return;
  const Folder folder("window_tour");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("Return space");  // paused, so that no sentence runs out however slow this machine is
  // A sentence waits for the user. An Enter before that would do nothing.
  const auto waits = [&](int row, const char* for_what) {
    const bool so = viewer.becomes([=](const json& s) {
      return s["tour"]["active"] == true && s["tour"]["row"] == row && s["tour"]["waiting"] == for_what;
    });
    INFO(viewer.state()["tour"].dump(), viewer.state()["notice"].dump());
    REQUIRE(so);
  };
  constexpr int kAsks = 8;
  for (int n = 1; n <= 12; ++n) {
    CAPTURE(n);
    waits(n, n == kAsks ? "poke" : "pause");
    const json state = viewer.state();
    CHECK(state["sentence"]["text"].get<std::string>().find('{') == std::string::npos);
    CHECK((asked_row(state) >= 0) == (n == kAsks));
    if (n == kAsks) {
      scramble(viewer, place_of(pane_of(state, Mode::cached), {Mode::cached, Part::q, asked_row(state), -1}));
      REQUIRE(viewer.becomes(field("pokes", 1)));
      continue;  // the poke is the answer: the tour goes on to the next sentence
    }
    viewer.key("Return");
  }
  CHECK(viewer.becomes([](const json& s) { return s["tour"]["active"] == false; }));
  CHECK(read_text(viewer.log()).empty());
}

TEST_CASE("a script plays in the window as it does without one") {
  if (display() == nullptr) return;
  const Folder folder("window_script");
  std::ofstream(folder / "s.txt") << "step 4\nlayer last\nsub sum\nshot window.png\nstate window.json\n";
  ViewerWindow viewer(folder, {"--script", (folder / "s.txt").string()});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  REQUIRE(wait_until([&] { return std::filesystem::exists(folder / "window.json"); }));
  const Folder other("window_script_headless");
  REQUIRE(headless(other, "step 4\nlayer last\nsub sum\nshot window.png\n").exit_code == 0);
  const Image in_window = read_png((folder / "window.png").string());
  const Image without = read_png((other / "window.png").string());
  CHECK(in_window.width == without.width);
  int different = 0;  // but for the measured times and the sentence's hint
  for (int y = 160; y < 760; ++y)
    for (int x = 60; x < 1140; ++x)
      different += !std::equal(in_window.pixel(x, y), in_window.pixel(x, y) + 4, without.pixel(x, y));
  CHECK(different == 0);
}

TEST_CASE(
    "in the window a sentence of a script stays until Enter, and behind the last one Enter plays it again") {
  if (display() == nullptr) return;
  const Folder folder("window_sentences");
  std::ofstream(folder / "s.txt") << "step 2\nsay one\nstep 3\nsay two\n";
  ViewerWindow viewer(folder, {"--script", (folder / "s.txt").string()});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const auto says = [](const std::string& text) {
    return [=](const json& s) { return s["sentence"]["text"] == text && s["tour"]["waiting"] == "pause"; };
  };
  REQUIRE(viewer.becomes(says("one")));
  viewer.key("Return");
  REQUIRE(viewer.becomes(says("two")));
  viewer.key("Return");
  REQUIRE(viewer.becomes([](const json& s) { return s["tour"]["active"] == false; }));
  CHECK(viewer.state()["sentence"]["hint"] == "Enter: play the script again");
  viewer.key("Return");
  CHECK(viewer.becomes(says("one")));
}
