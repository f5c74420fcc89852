// The names of the keys under the matrix: words or positions, far enough apart to be read.
#include <doctest/doctest.h>

#include <algorithm>

#include "viewer/draw/text_log.h"
#include "viewer/view_model/run/controller.h"
#include "viewer_window/panels/pointed_screen.h"

using namespace lastrow::ui;
using namespace lastrow::view;

namespace {

/// What is written under the matrix of the left pane, from left to right, and where.
struct KeyNames {
  std::vector<DrawnText> names, captions;
  bool whole = false;  // all tokens are shown
};

KeyNames key_names(const char* model, int step, int width, int height) {
  ControllerOptions options;
  options.model = model;
  options.prompt = "the quick brown fox";
  options.step = step;
  Controller controller(options);
  PointedScreen screen(width, height);
  controller.send(SetRoom{rows_that_fit(screen.size(), *controller.settle())});
  controller.send(GoToBeat{Beat::softmax});
  const auto view = controller.settle();
  TextLog log;
  screen.screen().log_texts(&log);
  screen.draw_at_rest(view);
  screen.screen().log_texts(nullptr);
  const PaneLayout pane = make_layout(screen.size(), *view).panes[0];
  KeyNames found;
  found.whole = pane.window.whole();
  for (const DrawnText& text : log.texts)
    if (text.place.center().x > pane.v.x1 && pane.names.contains(text.place.center()))
      (text.text == "position of the key" ? found.captions : found.names).push_back(text);
  std::ranges::sort(found.names, {}, [](const DrawnText& text) { return text.place.x0; });
  return found;
}

constexpr const char* kRandom = "random:layers=2,q_heads=4,kv_heads=2,head_dim=16,vocab=64,context=40,seed=3";

}  // namespace

TEST_CASE("a model whose tokens are only numbers names its keys by their positions, with gaps between them") {
  for (const int step : {3, 8, 11, 16})
    for (const ImVec2 size : {ImVec2(1440, 900), ImVec2(1024, 768)}) {
      CAPTURE(step);
      CAPTURE(size.x);
      const KeyNames found = key_names(kRandom, step, static_cast<int>(size.x), static_cast<int>(size.y));
      if (!found.whole) continue;  // a window of the tokens: its bars do not stand under the columns
      REQUIRE_FALSE(found.names.empty());
      CHECK(found.names.front().text == "0");
      CHECK(found.names.back().text == std::to_string(step + 3));
      for (size_t i = 1; i < found.names.size(); ++i)
        CHECK(found.names[i].place.x0 - found.names[i - 1].place.x1 >= 6);
      CHECK(found.captions.size() == (size.x == 1440 ? 1 : 0));
    }
}

TEST_CASE("a few keys of a model with words are named by their words") {
  const KeyNames found = key_names("fable-mha", 3, 1440, 900);
  REQUIRE(found.names.size() == 7);
  CHECK(found.names[3].text == "fox");
  CHECK(found.captions.empty());
}
