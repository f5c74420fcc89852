// The window, driven by real key presses and clicks: every key, the prompt, the mouse in the panes, a poke
// through the menu. Each test says what the user does and what the state then is.
#include <doctest/doctest.h>

#include "viewer/platform/image.h"
#include "viewer_window/driving.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;
using lastrow::view::Target;

namespace {

#if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
constexpr double kFirstFrameSeconds = 20;  // checked or unoptimised builds
#else
constexpr double kFirstFrameSeconds = 2;
#endif

}  // namespace

TEST_CASE("the first screen is decode 4 with the tour on offer, within two seconds of the start") {
  if (display() == nullptr) return;
  double best = 1e9;  // of three starts, because the machine may be busy during one
  for (int start = 0; start < 3 && best > kFirstFrameSeconds; ++start) {
    const Folder folder("window_first");
    ViewerWindow viewer(folder);
    REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
    best = std::min(best, viewer.seconds_to_first_frame());
    const json state = viewer.state();
    CHECK(state["step"] == 4);
    CHECK(state["panes"]["cached"]["n_tokens"] == 8);
    CHECK(state["tour"]["offered"] == true);
    CHECK(state["beat"] == "keep");
  }
  MESSAGE("first frame after ", best, " s");
  CHECK(best <= kFirstFrameSeconds);
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
  CHECK(viewer.becomes([](const json& s) { return s["prompt_box"].value("text", "?").empty(); }));
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
  const PaneLayout left = pane_of(before, Mode::cached);

  const ImVec2 key_cell = place_of(left, {Mode::cached, Part::k, 3, 4}).center();
  viewer.point(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) {
    const json& h = s["inspector"]["hovered"];
    return !h.is_null() && h["part"] == "k" && h["row"] == 3 && h["column"] == 4;
  }));
  viewer.click(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) { return s["inspector"].contains("pinned"); }));
  viewer.click(key_cell.x, key_cell.y);
  CHECK(viewer.becomes([](const json& s) { return !s["inspector"].contains("pinned"); }));

  const Rect query = place_of(left, {Mode::cached, Part::q, 3, -1});
  scramble(viewer, query);
  REQUIRE(viewer.becomes(field("pokes", 1)));
  const json after = viewer.state();
  CHECK(after["panes"]["cached"]["q"]["rows"][3]["poked"] == true);
  CHECK(after["panes"]["cached"]["badges"][0]["no_effect"] ==
        true);  // last layer: nothing reads a past query
  CHECK(after["panes"]["recompute"]["badges"][0]["text"].get<std::string>().find("bit-identical") !=
        std::string::npos);
  CHECK(after["next"] == before["next"]);
  viewer.key("r");
  CHECK(viewer.becomes(field("pokes", 0)));
}

TEST_CASE("P opens the menu for the row under the mouse, C copies the cell there") {
  if (display() == nullptr) return;
  const Folder folder("window_p_c");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  const PaneLayout left = pane_of(viewer.state(), Mode::cached);
  const auto hovers = [](const char* part, int row) {
    return [=](const json& s) {
      const json& h = s["inspector"]["hovered"];
      return !h.is_null() && h["part"] == part && h["row"] == row;
    };
  };
  const auto said = [](const char* words) {
    return [=](const json& s) {
      return !s["notice"].is_null() && s["notice"].get<std::string>().find(words) != std::string::npos;
    };
  };
  viewer.point(kWidth / 2, 20);  // at no cell
  viewer.key("p");
  CHECK(viewer.becomes(said("then P pokes it")));
  viewer.key("c");  // the row that decides
  CHECK(viewer.becomes(said("Copied: scores and weights of row 7, 8 rows")));

  const ImVec2 cell = place_of(left, {Mode::cached, Part::k, 3, 4}).center();
  viewer.point(cell.x, cell.y);
  REQUIRE(viewer.becomes(hovers("k", 3)));
  viewer.key("c");
  REQUIRE(viewer.becomes(said("Copied: k[3], 16 numbers")));
  const std::string copied = viewer.state()["clipboard"];
  CHECK(copied.starts_with("position\ttoken\td0\td1"));

  viewer.key("p");
  REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
  CHECK(viewer.state()["poke_menu"].get<std::string>().find("k[3]") != std::string::npos);
  viewer.key("Escape");
  CHECK(viewer.becomes(field("poke_menu", nullptr)));
  CHECK(viewer.state()["pokes"] == 0);

  // What was copied is on the display's clipboard: it can be pasted.
  viewer.key("i");
  REQUIRE(viewer.becomes(field("prompt_open", true)));
  for (const char* key : {"ctrl+a", "ctrl+v"}) {
    viewer.key(key);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // a frame for each
  }
  CHECK(viewer.becomes([](const json& s) {
    return !s["prompt_box"].is_null() && s["prompt_box"]["text"].get<std::string>().starts_with("position");
  }));
}

TEST_CASE("F11 fills the screen and gives it back") {
  if (display() == nullptr) return;
  const Folder folder("window_f11");
  ViewerWindow viewer(folder, {"--size", "1100x720"});
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  using Size = std::pair<int, int>;
  CHECK(viewer.size() == Size{1100, 720});
  viewer.key("F11");
  CHECK(wait_until([&] { return viewer.size() == Size{kWidth, kHeight}; }));
  viewer.key("ctrl+s");  // the picture is as large as the screen: what is drawn has followed
  REQUIRE(wait_until([&] { return std::filesystem::exists(folder / "lastrow-1.png"); }));
  CHECK(read_png((folder / "lastrow-1.png").string()).width == kWidth);
  viewer.key("F11");
  CHECK(wait_until([&] { return viewer.size() == Size{1100, 720}; }));
}
