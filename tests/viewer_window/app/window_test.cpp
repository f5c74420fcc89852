// The window, driven by real key presses and clicks: every key, the mouse in the panes, a poke through the
// menu, and the whole tour. Each test says what the user does and what the state then is.
#include <doctest/doctest.h>

#include <memory>

#include "viewer/panels/layout.h"
#include "viewer/panels/scroll.h"
#include "viewer/platform/image.h"
#include "viewer_window/display.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;
using lastrow::view::Target;
using nlohmann::json;

namespace {

constexpr int kWidth = 1440, kHeight = 900;
#if defined(__SANITIZE_ADDRESS__) || !defined(NDEBUG)
constexpr double kFirstFrameSeconds = 20;  // checked or unoptimised builds
#else
constexpr double kFirstFrameSeconds = 2;
#endif

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

PaneLayout pane_of(const json& state, Mode side) {
  lastrow::view::ViewState view;
  for (auto& pane : view.panes) {
    pane.n_tokens = state["panes"]["cached"]["n_tokens"];
    pane.k.head_dim = state["panes"]["cached"]["k"]["head_dim"];
  }
  view.panes[1].side = Mode::recompute;
  return make_layout({kWidth, kHeight}, view, {}).panes[static_cast<size_t>(side)];
}

auto field(const char* name, json value) {
  return [=](const json& state) { return state[name] == value; };
}
/// Right-clicks a row and takes the menu's first entry: scramble now. The menu is in the state once it is
/// where it stays.
void scramble(ViewerWindow& viewer, const Rect& row) {
  viewer.click(row.center().x, row.center().y, 3);
  REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
  viewer.click(row.x1 + 60, row.y1 + 4 + 45);
}

/// The row that the tour asks to be poked; −1: none.
int asked_row(const json& state) {
  for (const json& row : state["panes"]["cached"]["q"]["rows"])
    if (row.value("asked", false)) return row["position"];
  return -1;
}

}  // namespace

TEST_CASE("the first screen is decode 4 with the tour on offer, within two seconds of the start") {
  if (display() == nullptr) return;
  double best = 1e9;  // of three starts, so that a busy machine does not fail what is fast
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
        true);  // last layer: a past query is read by nobody
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
  viewer.key("c");
  CHECK(viewer.becomes(said("then C copies it")));

  const ImVec2 cell = place_of(left, {Mode::cached, Part::k, 3, 4}).center();
  viewer.point(cell.x, cell.y);
  REQUIRE(viewer.becomes(hovers("k", 3)));
  viewer.key("c");
  REQUIRE(viewer.becomes([](const json& s) { return s["clipboard"] != ""; }));
  const std::string copied = viewer.state()["clipboard"];
  CHECK(copied.find("k[3]") != std::string::npos);
  CHECK(copied.find('\n') != std::string::npos);  // the place, and its numbers

  viewer.key("p");
  REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
  CHECK(viewer.state()["poke_menu"].get<std::string>().find("k[3]") != std::string::npos);
  viewer.key("Escape");
  CHECK(viewer.becomes(field("poke_menu", nullptr)));
  CHECK(viewer.state()["pokes"] == 0);

  // What was copied is on the display's clipboard: it can be pasted.
  viewer.key("i");
  REQUIRE(viewer.becomes(field("prompt_open", true)));
  for (const char* key : {"ctrl+a", "ctrl+v", "Return"}) {
    viewer.key(key);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // a frame for each
  }
  CHECK(viewer.becomes([](const json& s) { return s["prompt_error"] != ""; }));  // a prompt knows no brackets
  MESSAGE(viewer.state()["prompt_error"].get<std::string>());
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

TEST_CASE("the whole tour with Enter, the poke it asks for, and its last sentence") {
  if (display() == nullptr) return;
  const Folder folder("window_tour");
  ViewerWindow viewer(folder);
  REQUIRE_MESSAGE(viewer.opened(), read_text(viewer.log()));
  viewer.key("Return space");  // paused, so that no sentence runs out however slow this machine is
  // A sentence stands there and waits for the user: before that an Enter would go by unheard.
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
      waits(n, "pause");  // time to look at it
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
