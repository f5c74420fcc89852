// Hover and pin: the line's numbers are the pane's numbers.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/viewer/recording_host.h"
#include "viewer/view_model/describe/text.h"

using namespace lastrow;
using namespace lastrow::view;

namespace {

std::shared_ptr<const ViewState> hover(Controller& controller, Target target) {
  controller.send(Hover{target});
  return controller.settle();
}
std::shared_ptr<const ViewState> pin(Controller& controller, Target target) {
  controller.send(Pin{std::nullopt});
  controller.send(Pin{target});
  return controller.settle();
}
constexpr Mode L = Mode::cached, R = Mode::recompute;

}  // namespace

TEST_CASE("hovering says what a place is, with its numbers") {
  Controller controller;
  auto view = controller.settle();
  const PaneState& pane = view->panes[0];

  auto at = hover(controller, {L, Part::q, 3, -1});
  CHECK(at->inspector.hover_line == "q[3]: used once, in prefill, then dropped");
  at = hover(controller, {L, Part::q, 5, 2});
  CHECK(at->inspector.hover_line == "q[5]: used once, in decode 2, then dropped");
  at = hover(controller, {L, Part::k, 3, 5});
  CHECK(at->inspector.hover_title == fmt::format("k[3] · fox · layer 3 (last) · K/V head {}", view->head));
  CHECK(at->inspector.hover_line ==
        fmt::format("k[3][5] = {} (after RoPE)", number(double(pane.k.at(3, 5)))));
  at = hover(controller, {R, Part::v, 2, 0});
  CHECK(at->inspector.hover_line == fmt::format("v[2][0] = {}", number(double(view->panes[1].v.at(2, 0)))));
  at = hover(controller, {L, Part::score, 7, 3});
  const double score = double(pane.scores.at(7, 3));
  CHECK(at->inspector.hover_line ==
        fmt::format("score(7, 3) = q[7]·k[3] / √16 = {} / 4.00 = {}", number(score * 4), number(score)));
  at = hover(controller, {L, Part::weight, 7, 3});
  CHECK(at->inspector.hover_line.starts_with("weight(7, 3) = e^(score − log Σ e^score) = e^("));
  CHECK(at->inspector.hover_line.ends_with(number(double(pane.weights.at(7, 3)))));
  at = hover(controller, {R, Part::score, 2, 5});
  CHECK(at->inspector.hover_line == "key 5 comes after query 2: masked, weight exactly 0");
  at = hover(controller, {L, Part::weight, 2, 1});
  CHECK(at->inspector.hover_line ==
        "weight row 2: computed once, in prefill, then dropped; nothing reads it again");
  at = hover(controller, {R, Part::output, 7, 4});
  CHECK(at->inspector.hover_line.ends_with("= " + number(double(view->panes[1].output.values[4]))));
  at = hover(controller, {L, Part::token, 3, -1});
  CHECK(at->inspector.hover_line == "“fox” was read in prefill");

  // Every place that exists has a title and a line. Other places have neither.
  for (const Part part : {Part::q, Part::k, Part::v, Part::score, Part::weight, Part::output, Part::token})
    for (const Mode side : {L, R})
      for (int row = -1; row < 9; ++row)
        for (int column = 0; column < 8; ++column) {
          at = hover(controller, {side, part, row, column});
          const bool exists = row >= 0 && row < 8;
          CHECK(at->inspector.hover_line.empty() == !exists);
          CHECK(at->inspector.hovered.has_value() == exists);
        }
  controller.send(Hover{});
  CHECK_FALSE(controller.settle()->inspector.hovered);
}

TEST_CASE("the crosshair joins q[t], k[s], v[s] and the cell; the elbow runs down to the last row") {
  Controller controller;
  controller.settle();
  auto at = hover(controller, {L, Part::k, 3, -1});
  CHECK(at->crosshair.s == 3);
  CHECK(at->crosshair.t == 7);
  CHECK(at->crosshair.elbow);
  CHECK(at->crosshair.elbow_to == 7);
  CHECK(at->crosshair.elbow_text == "used by this and every later row");
  at = hover(controller, {R, Part::score, 5, 2});
  CHECK(at->crosshair.t == 5);
  CHECK(at->crosshair.s == 2);
  at = hover(controller, {R, Part::score, 2, 5});
  CHECK_FALSE(at->crosshair.elbow);  // masked: nothing runs there
  at = hover(controller, {L, Part::q, 7, -1});
  CHECK(at->crosshair.t == 7);
  CHECK(at->crosshair.s == -1);
}

TEST_CASE("a pinned score shows its products, and they add up") {
  Controller controller;
  auto view = pin(controller, {L, Part::score, 7, 3});
  REQUIRE(view->inspector.pinned);
  const Pinned& p = *view->inspector.pinned;
  REQUIRE(p.products.size() == 16);
  double sum = 0;
  for (int d = 0; d < 16; ++d) {
    CHECK(p.products[size_t(d)].a == view->panes[0].q.at(7, d));
    CHECK(p.products[size_t(d)].b == view->panes[0].k.at(3, d));
    sum += double(p.products[size_t(d)].product);
  }
  CHECK(sum / 4 == doctest::Approx(double(view->panes[0].scores.at(7, 3))).epsilon(1e-4));
  CHECK(p.total == doctest::Approx(sum).epsilon(1e-4));
}

TEST_CASE("pinned weights add up to 1, pinned output elements to the output") {
  Controller controller;
  auto view = pin(controller, {R, Part::weight, 5, 3});
  CHECK(view->inspector.pinned->products.size() == 6);
  CHECK(view->inspector.pinned->total == doctest::Approx(1).epsilon(1e-5));
  view = pin(controller, {R, Part::output, 7, 9});
  CHECK(view->inspector.pinned->products.size() == 8);
  CHECK(view->inspector.pinned->total ==
        doctest::Approx(double(view->panes[1].output.values[9])).epsilon(1e-4));
  CHECK(view->inspector.pinned->values == view->panes[1].output.values);
}

TEST_CASE("a row in a block tells its block and its type; the other side has neither") {
  ControllerOptions options;
  options.cache = cache_options("paged:block=4", "k=int8,v=f16");
  Controller controller(options);
  const auto line = [](const Pinned& p, const std::string& key) {
    for (const auto& [name, text] : p.provenance)
      if (name == key) return text;
    return std::string();
  };
  auto view = pin(controller, {L, Part::k, 5, -1});
  CHECK(view->panes[0].title().starts_with("WITH CACHE · k=int8,v=f16 · layer 3"));
  REQUIRE(view->caches.choices.size() == 1);  // the button of the closed list
  CHECK(view->caches.choices[0].name == "paged:block=4");
  CHECK(view->caches.choices[0].button == "paged, blocks of 4");
  CHECK(view->panes[1].title().starts_with("WITHOUT CACHE · layer 3"));
  CHECK(line(*view->inspector.pinned, "slot").find(": row 1 of block ") != std::string::npos);
  CHECK(line(*view->inspector.pinned, "bytes").starts_with("20 (16 × int8, and a scale of 4)"));
  view = pin(controller, {L, Part::v, 5, -1});
  CHECK(line(*view->inspector.pinned, "bytes").starts_with("32 (16 × f16)"));
  view = pin(controller, {R, Part::k, 5, -1});
  CHECK(line(*view->inspector.pinned, "slot") == "5");
  CHECK(line(*view->inspector.pinned, "bytes").starts_with("64 (16 × f32)"));
}

TEST_CASE("a cached row tells who wrote it and, from the trace, who has read it") {
  Controller controller;
  const auto line = [](const Pinned& p, const std::string& key) {
    for (const auto& [name, text] : p.provenance)
      if (name == key) return text;
    return std::string();
  };
  auto view = pin(controller, {L, Part::k, 3, -1});
  const Pinned& k = *view->inspector.pinned;
  CHECK(line(k, "position") == "3");
  CHECK(line(k, "written by") == "prefill");
  CHECK(line(k, "bytes").starts_with("64 (16 × f32)"));
  CHECK(line(k, "slot") != "");
  CHECK(line(k, "RoPE angle").starts_with("3 rad"));
  CHECK(k.reads == std::vector<std::string>{"read by queries 3–7: 5×"});
  view = pin(controller, {L, Part::v, 6, -1});
  CHECK(line(*view->inspector.pinned, "written by") == "decode 3");
  CHECK(view->inspector.pinned->reads == std::vector<std::string>{"read by queries 6–7: 2×"});
  view = pin(controller, {L, Part::q, 3, -1});
  CHECK(view->inspector.pinned->reads == std::vector<std::string>{"read by query 3: 1×"});
  // Without a cache the same query is made and used in each of the five steps.
  view = pin(controller, {R, Part::q, 3, -1});
  CHECK(view->inspector.pinned->reads == std::vector<std::string>{"read by query 3: 5×"});
  view = pin(controller, {R, Part::k, 3, -1});
  CHECK(view->inspector.pinned->reads == std::vector<std::string>{"read by queries 3–7: 15×"});
  CHECK(line(*view->inspector.pinned, "written by") == "this step, and every step since prefill");
}

TEST_CASE("the same place again unpins; a pin stays while steps and layers change") {
  Controller controller;
  pin(controller, {L, Part::k, 3, -1});
  controller.send(ChangeStep{+1});
  controller.send(SetLayer{1});
  auto view = controller.settle();
  REQUIRE(view->inspector.pinned);
  CHECK(view->inspector.pinned->title.starts_with("k[3] · fox · layer 1"));
  controller.send(Pin{Target{L, Part::k, 3, -1}});
  CHECK_FALSE(controller.settle()->inspector.pinned);
  // A pin on a token that the text no longer has is removed.
  pin(controller, {L, Part::k, 7, -1});
  controller.send(GoToStep{0, false});
  CHECK_FALSE(controller.settle()->inspector.pinned);
}

TEST_CASE("C copies what is pinned, else what is hovered, else the row that decides") {
  Controller controller;
  controller.settle();
  const auto copied = [&] {
    controller.send(CopyCell{});
    return controller.settle()->notice.value_or(Notice{}).text;
  };
  CHECK(copied() == "Copied: scores and weights of row 7, 8 rows");
  hover(controller, {L, Part::v, 2, 3});
  CHECK(copied() == "Copied: v[2], 16 numbers");
  controller.send(Pin{Target{L, Part::k, 1, -1}});
  CHECK(copied() == "Copied: k[1], 16 numbers");
  CHECK(controller.settle()->clipboard_serial == 3);
}
