// Pictures without a display: the program draws what the state says, at the place where the layout puts it,
// and answers wrong input with one line.
#include <doctest/doctest.h>

#include "viewer/panels/layout.h"
#include "viewer/platform/image.h"
#include "viewer_window/program.h"

using namespace lastrow::ui;
using lastrow::Mode;
using lastrow::view::Part;
using lastrow::view::State;
using lastrow::view::Theme;

namespace {

constexpr int kTokens = 8, kHeadDim = 16;

Layout layout_at(int width, int height) {
  lastrow::view::ViewState view;
  for (const Mode side : {Mode::cached, Mode::recompute}) {
    auto& pane = view.panes[static_cast<size_t>(side)];
    pane.side = side;
    pane.n_tokens = kTokens;
    pane.k.head_dim = kHeadDim;
  }
  const ImVec2 size{static_cast<float>(width), static_cast<float>(height)};
  view.window = lastrow::view::window_of(kTokens, rows_that_fit(size, view), lastrow::view::kNewest);
  return make_layout(size, view);
}

Hex color_at(const Image& image, float x, float y) {
  const uint8_t* p = image.pixel(static_cast<int>(x), static_cast<int>(y));
  return static_cast<Hex>(p[0] << 16 | p[1] << 8 | p[2]);
}

/// The share of a rectangle's pixels that have exactly this colour.
double share(const Image& image, const Rect& r, Hex color) {
  int n = 0, hits = 0;
  for (int y = static_cast<int>(r.y0); y < static_cast<int>(r.y1); ++y)
    for (int x = static_cast<int>(r.x0); x < static_cast<int>(r.x1); ++x, ++n)
      hits += color_at(image, static_cast<float>(x), static_cast<float>(y)) == color;
  return n == 0 ? 0 : static_cast<double>(hits) / n;
}

Rect gutter(const PaneLayout& pane, Part part, int row) {
  const Rect r = pane.row(part, row);
  return {r.x0, r.y0 + 2, r.x0 + 7, r.y1 - 2};
}

}  // namespace

TEST_CASE("an empty Q column beside full K and V: the picture of decode 4") {
  const Folder folder("picture_decode");
  for (const auto& [theme, name] : {std::pair{Theme::light, "light"}, std::pair{Theme::dark, "dark"}}) {
    const Outcome run = headless(folder, "step 4\nlayer last\nsub sum\nshot a.png\nstate a.json\n",
                                 std::string("--theme ") + name);
    REQUIRE_MESSAGE(run.exit_code == 0, run.err);
    const Image image = read_png((folder / "a.png").string());
    REQUIRE(image.width == 1440);
    REQUIRE(image.height == 900);
    const auto state = nlohmann::json::parse(read_text(folder / "a.json"));
    REQUIRE(state["panes"]["cached"]["n_tokens"] == kTokens);
    const Palette& colors = palette(theme);
    const Layout layout = layout_at(image.width, image.height);
    const PaneLayout &left = layout.panes[0], &right = layout.panes[1];
    const Hex cache = state_color(colors, State::from_cache), now = state_color(colors, State::computed_now);
    for (int row = 0; row < kTokens - 1; ++row) {
      CHECK(state["panes"]["cached"]["q"]["rows"][row]["state"] == "absent");
      CHECK(share(image, left.row(Part::q, row).inset(6, 3), colors.pane) == 1);  // only the background
      CHECK(share(image, left.cells(Part::k, row), colors.pane) < 0.2);           // values
      CHECK(share(image, gutter(left, Part::k, row), cache) > 0.2);               // dots
      CHECK(share(image, gutter(left, Part::v, row), cache) > 0.2);
      CHECK(share(image, right.row(Part::q, row).inset(6, 3), colors.pane) < 0.2);
      CHECK(share(image, gutter(right, Part::k, row), state_color(colors, State::again_needed)) > 0.3);
    }
    for (const PaneLayout* pane : {&left, &right})
      for (const Part part : {Part::q, Part::k, Part::v, Part::score})
        CHECK(share(image, gutter(*pane, part, kTokens - 1), now) == 1);  // solid
    CHECK(share(image, right.cell(0, kTokens - 1), colors.pane) > 0.3);   // masked: crosses on the background
    CHECK(share(image, left.cell(0, 0).inset(3), colors.pane) == 1);      // not computed on the left
  }
}

TEST_CASE("equal scripts give equal bytes, at any size that was asked for") {
  const Folder folder("picture_equal");
  const std::string script =
      "sub softmax\nshot a.png\nshot b.png\nsize 1024x700\nshot small.png\nsize 3840x2160\nshot 4k.png\n";
  REQUIRE(headless(folder, script).exit_code == 0);
  const std::string first = read_text(folder / "a.png");
  CHECK(first == read_text(folder / "b.png"));
  const Image small = read_png((folder / "small.png").string()),
              large = read_png((folder / "4k.png").string());
  CHECK(small.width == 1024);
  CHECK(small.height == 700);
  CHECK(large.width == 3840);
  CHECK(large.height == 2160);
}

TEST_CASE("without a script the tour is played, a picture a sentence") {
  const Folder folder("picture_tour");
  const Outcome run =
      shell(folder, "unset DISPLAY; " + kViewer + " --headless --out " + (folder / "new/folder").string());
  REQUIRE_MESSAGE(run.exit_code == 0, run.err);
  CHECK(run.out.find("12 pictures in ") != std::string::npos);
  std::string before;
  for (int row = 1; row <= 12; ++row) {
    const auto path =
        folder / ("new/folder/tour-" + std::string(row < 10 ? "0" : "") + std::to_string(row) + ".png");
    REQUIRE(std::filesystem::exists(path));
    const std::string bytes = read_text(path);
    CHECK(bytes != before);
    before = bytes;
  }
}

TEST_CASE("wrong input gets one line and exit 2; a sentence that would be false, exit 1") {
  const Folder folder("picture_errors");
  const auto fails = [&](const Outcome& run, int code, const std::string& words) {
    CHECK(run.exit_code == code);
    CHECK_MESSAGE(run.err.find(words) != std::string::npos, run.err);
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  };
  fails(headless(folder, "sub sum\nsubb sum\nshot a.png\n"), 2, ":2");
  fails(headless(folder, "step 4\npoke k 3 scramble\nexpect identical both\nshot a.png\n"), 1, "expect");
  fails(headless(folder, "step 4\n"), 2, "writes nothing");
  fails(headless(folder, "shot a.png\n", "--model no-such-model"), 2, "no-such-model");
  fails(headless(folder, "shot a.png\n", "--backend abacus"), 2, "abacus");
  fails(headless(folder, "shot a.png\n", "--prompt ''"), 2, "empty");
  fails(headless(folder, "size 10x10\nshot a.png\n"), 2, "10");
  fails(headless(folder, "shot a.png\n", "--size 12"), 2, "--size");
  fails(headless(folder, "shot a.png\n", "--theme pink"), 2, "pink");
  fails(headless(folder, "shot a.png\n", "--out /proc/nowhere"), 2, "/proc/nowhere");
  fails(shell(folder, kViewer + " --headless --script " + (folder / "none.txt").string()), 2, "none.txt");
  // A script without an end, one that nobody writes, and one that is too long are refused at once.
  const std::string play = "timeout 20 " + kViewer + " --headless --script ";
  fails(shell(folder, play + "/dev/zero"), 2, "/dev/zero: is not a regular file");
  fails(shell(folder, "mkfifo " + (folder / "pipe").string() + " && " + play + (folder / "pipe").string()), 2,
        "is not a regular file");
  fails(headless(folder, std::string((1 << 20) + 1, '\n')), 2, "a text may have at most 1048576");
  const std::string small = "--model random:layers=1,q_heads=1,head_dim=2,context=040 --prompt 't1 t2' ";
  fails(headless(folder, "shot a.png\n", small + "--step 99999"), 2,
        "context of 40 tokens is full at decode 38");
  fails(headless(folder, "shot a.png\n", small + "--step 0x4"), 2, "is not a whole number in decimal digits");
  for (const char* seconds : {"nan", "-1", "inf", "soon", "''"})
    fails(headless(folder, "shot a.png\n", std::string("--seconds ") + seconds), 2,
          "give a number of seconds");
  fails(headless(folder, "shot a.png\n", "--step -1"), 2, "give a decode step, 0 or more");
  fails(headless(folder, std::string("shot a\0.png\n", 13)), 2, "holds a zero byte");
  fails(headless(folder, "shot a.png\nundo\n", "--out " + (folder / "new/inner").string()), 2, "undo");
  CHECK_FALSE(std::filesystem::exists(folder / "new"));  // nothing stays, not even a folder
  for (const char* size : {"1440 x900", "0x5a0x900", "1440x", "x900", "1440x900x"})
    fails(headless(folder, "shot a.png\n", std::string("--size '") + size + "'"), 2, "give width and height");
  CHECK_FALSE(std::filesystem::exists(folder / "a.png"));
  CHECK(headless(folder, "state a.json\n", small + "--step 010 --out " + folder.string()).exit_code == 0);
  CHECK(nlohmann::json::parse(read_text(folder / "a.json"))["step"] == 10);
}
