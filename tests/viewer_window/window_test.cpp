// The window, driven by real key presses and clicks: every key, the mouse in the panes, a poke through the
// menu, and the whole tour. Each test says what the user does and what the state then is.
#include <doctest/doctest.h>

#include <memory>

#include "display.h"
#include "viewer/panels/layout.h"
#include "viewer/platform/image.h"

using namespace lastrow::ui;
using lastrow::view::Part;
using lastrow::view::Side;
using lastrow::view::Target;
using nlohmann::json;

namespace {

constexpr int kWidth = 1440, kHeight = 900;

/// One display for all tests of this file; null, with the reason printed, where there can be none.
Display* display() {
  static const Folder folder("window_display");
  static const std::unique_ptr<Display> one = [] {
    for (const char* program : {"Xvfb", "xdotool"})
      if (!installed(program)) {
        MESSAGE("skipped: ", program, " is not installed");
        return std::unique_ptr<Display>();
      }
    auto made = std::make_unique<Display>(folder, kWidth, kHeight);
    if (!made->works()) {
      MESSAGE("skipped: Xvfb does not start");
      made.reset();
    }
    return made;
  }();
  return one.get();
}

PaneLayout pane_of(const json& state, Side side) {
  lastrow::view::ViewState view;
  for (auto& pane : view.panes) {
    pane.n_tokens = state["panes"]["cached"]["n_tokens"];
    pane.k.head_dim = state["panes"]["cached"]["k"]["head_dim"];
  }
  view.panes[1].side = Side::recompute;
  return make_layout({kWidth, kHeight}, view, {}).panes[static_cast<size_t>(side)];
}

auto field(const char* name, json value) {
  return [=](const json& state) { return state[name] == value; };
}
/// The row that the tour asks to be poked; −1: none.
int asked_row(const json& state) {
  for (const json& row : state["panes"]["cached"]["q"]["rows"])
    if (row.value("asked", false)) return row["position"];
  return -1;
}

}  // namespace

TEST_CASE("the first screen is decode 4 with the tour on offer, within two seconds of work") {
  if (display() == nullptr) return;
  const Folder folder("window_first");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const json state = viewer.state();
  CHECK(state["step"] == 4);
  CHECK(state["panes"]["cached"]["n_tokens"] == 8);
  CHECK(state["tour"]["offered"] == true);
  CHECK(state["beat"] == "keep");
}

TEST_CASE("every key does what the help says") {
  if (display() == nullptr) return;
  const Folder folder("window_keys");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const int layer = viewer.state()["layer"], head = viewer.state()["head"];

  viewer.key("Left");
  CHECK(viewer.becomes(field("beat", "next")));
  viewer.key("Right");
  CHECK(viewer.becomes(field("beat", "keep")));
  viewer.key("shift+Right");
  CHECK(viewer.becomes(field("step", 5)));
  viewer.key("shift+Left");
  CHECK(viewer.becomes(field("step", 4)));
  viewer.key("Home");
  CHECK(viewer.becomes(field("step", 0)));
  viewer.key("End");
  CHECK(viewer.becomes(field("step", 5)));
  viewer.key("bracketleft");
  CHECK(viewer.becomes(field("layer", layer - 1)));
  viewer.key("bracketright");
  CHECK(viewer.becomes(field("layer", layer)));
  viewer.key(head > 0 ? "comma" : "period");
  CHECK(viewer.becomes([&](const json& s) { return s["head"] != head; }));
  viewer.key(head > 0 ? "period" : "comma");
  CHECK(viewer.becomes(field("head", head)));
  viewer.key("m");
  CHECK(viewer.becomes(field("model", "fable-gqa")));
  viewer.key("b");
  CHECK(viewer.becomes([](const json& s) { return s["backend"] != "eigen"; }));
  viewer.key("t");
  CHECK(viewer.becomes(field("theme", "dark")));
  viewer.key("question");
  CHECK(viewer.becomes(field("help_open", true)));
  viewer.key("Escape");
  CHECK(viewer.becomes(field("help_open", false)));
  viewer.key("ctrl+s");
  CHECK(wait_until([&] { return std::filesystem::exists(folder / "lastrow-1.png"); }));
  const Image picture = read_png((folder / "lastrow-1.png").string());
  CHECK(picture.width == kWidth);
  CHECK(picture.height == kHeight);
  viewer.key("space");
  CHECK(viewer.becomes([](const json& s) { return s["step"] > 5; }));
  viewer.key("space");
  CHECK(viewer.becomes(field("playing", false)));
}

TEST_CASE("a prompt is typed, a bad one is refused in place") {
  if (display() == nullptr) return;
  const Folder folder("window_prompt");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const auto open = [](bool yes) {
    return [yes](const json& s) { return s.value("prompt_open", yes) == yes; };
  };
  viewer.key("i");
  REQUIRE(viewer.becomes(open(true)));
  std::this_thread::sleep_for(
      std::chrono::milliseconds(500));  // the field takes the keyboard in its first frames
  viewer.type("the brown dog");         // the old text is selected, so that typing replaces it
  viewer.key("Return");
  CHECK(viewer.becomes(field("prompt", "the brown dog")));
  CHECK(viewer.becomes(open(false)));
  viewer.key("i");
  REQUIRE(viewer.becomes(open(true)));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  viewer.key("BackSpace");
  viewer.key("Return");
  CHECK(viewer.becomes([](const json& s) { return s["prompt_error"] != ""; }));
  CHECK(viewer.state()["prompt"] == "the brown dog");
  viewer.key("Escape");
  CHECK(viewer.becomes(open(false)));
}

TEST_CASE("the mouse points, pins, and pokes a past query through the menu") {
  if (display() == nullptr) return;
  const Folder folder("window_mouse");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const json before = viewer.state();
  const PaneLayout left = pane_of(before, Side::cached);

  const ImVec2 key_cell = place_of(left, {Side::cached, Part::k, 3, 4}).center();
  viewer.point(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) {
    const json& h = s["inspector"]["hovered"];
    return !h.is_null() && h["part"] == "k" && h["row"] == 3 && h["column"] == 4;
  }));
  viewer.click(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) { return s["inspector"].contains("pinned"); }));
  viewer.click(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) { return !s["inspector"].contains("pinned"); }));

  const Rect query = place_of(left, {Side::cached, Part::q, 3, -1});
  viewer.click(query.center().x, query.center().y, 3);
  REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  viewer.click(query.x1 + 60, query.y1 + 4 + 45);  // the menu's first entry: scramble now
  REQUIRE(viewer.becomes(field("pokes", 1)));
  const json after = viewer.state();
  CHECK(after["panes"]["cached"]["q"]["rows"][3]["poked"] == true);
  CHECK(after["panes"]["cached"]["badges"][0]["no_effect"] ==
        true);  // last layer: a past query is read by nobody
  CHECK(after["panes"]["recompute"]["badges"][0]["text"].get<std::string>().find("bit-identical") !=
        std::string::npos);
  CHECK(after["next"] == before["next"]);
  viewer.key("r");
  CHECK(viewer.becomes(field("pokes", 0)));
}

TEST_CASE("the whole tour with Enter, the poke it asks for, and its last sentence") {
  if (display() == nullptr) return;
  const Folder folder("window_tour");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("Return");
  const auto row = [](int n) {
    return [n](const json& s) { return s["tour"]["active"] == true && s["tour"]["row"] == n; };
  };
  for (int n = 1; n <= 12; ++n) {
    CAPTURE(n);
    const bool reached = viewer.becomes(row(n));
    INFO(viewer.state()["tour"].dump(), viewer.state()["notice"].dump());
    REQUIRE(reached);
    const json state = viewer.state();
    CHECK(state["sentence"]["text"].get<std::string>().find('{') == std::string::npos);
    if (const int position = asked_row(state); position >= 0) {  // it waits for the user's own poke
      const Rect query = place_of(pane_of(state, Side::cached), {Side::cached, Part::q, position, -1});
      viewer.click(query.center().x, query.center().y, 3);
      REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      viewer.click(query.x1 + 60, query.y1 + 4 + 45);
    } else {
      viewer.key("Return");
    }
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
