// The menu of pokes: its tooltips belong to the entry under the mouse, whatever lies behind the menu.
#include <doctest/doctest.h>
#include <imgui_internal.h>

#include "viewer_window/panels/mouse.h"

using namespace lastrow;
using namespace lastrow::ui;

namespace {

const ImGuiWindow* shown_window(ImGuiContext* context, int flag) {
  for (const ImGuiWindow* window : context->Windows)
    if (window->Active && !window->Hidden && (window->Flags & flag) != 0) return window;
  return nullptr;
}

/// The height of the tooltip while the mouse goes down through the menu; 0 where there is none.
std::vector<float> tooltip_heights(view::Controller& controller, ImVec2 size, const view::Target& row) {
  controller.send(view::OpenPokeMenu{row});
  controller.settle();
  MouseWindow window(controller, size);
  const ImGuiWindow* menu = shown_window(window.context(), ImGuiWindowFlags_Popup);
  REQUIRE(menu);
  std::vector<float> heights;
  for (float y = 4; y < menu->Size.y; y += 6) {
    window.point({menu->Pos.x + 60, menu->Pos.y + y});
    const ImGuiWindow* tooltip = shown_window(window.context(), ImGuiWindowFlags_Tooltip);
    heights.push_back(tooltip ? tooltip->Size.y : 0);
  }
  return heights;
}

}  // namespace

TEST_CASE("the tooltips of the menu are the same wherever it opens") {
  for (const ImVec2 size : {ImVec2{1440, 900}, ImVec2{1024, 700}}) {
    view::Controller controller;
    controller.settle();
    const std::vector<float> expected =
        tooltip_heights(controller, size, {Mode::cached, view::Part::q, 0, -1});
    CHECK(expected.front() == 0);  // over the title
    CHECK(expected[expected.size() / 2] > 0);
    for (const Mode side : {Mode::cached, Mode::recompute})
      for (const view::Part part : {view::Part::q, view::Part::v})
        for (const int row : {3, 7}) {
          CAPTURE(row);
          CHECK(tooltip_heights(controller, size, {side, part, row, -1}) == expected);
        }
  }
}

TEST_CASE("when the menu closes, ImGui keeps no menu open") {
  view::Controller controller;
  controller.settle();
  controller.send(view::OpenPokeMenu{{Mode::cached, view::Part::k, 3, -1}});
  MouseWindow window(controller, {1440, 900});
  CHECK(shown_window(window.context(), ImGuiWindowFlags_Popup));
  controller.send(view::Escape{});
  window.draw();
  window.draw();
  CHECK_FALSE(shown_window(window.context(), ImGuiWindowFlags_Popup));
  CHECK(window.context()->OpenPopupStack.empty());
}
