// The list of pokes as it is drawn: its button, its entries and their buttons react to the mouse, wherever the
// layout puts them.
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "viewer/panels/screen.h"
#include "viewer/view_model/run/controller.h"

using namespace lastrow;
using namespace lastrow::ui;

namespace {

/// A window without a display, with a mouse of its own.
class Clicked {
 public:
  Clicked(view::Controller& controller, ImVec2 size) : controller_(controller), size_(size) {
    ImGui::SetCurrentContext(screen_.context());
    ImGuiIO& io = ImGui::GetIO();
    io.BackendPlatformName = "test";  // then the screen leaves size and mouse to us
    io.DisplaySize = size;
    io.DisplayFramebufferScale = {1, 1};
    for (int i = 0; i < 3; ++i) draw();
  }
  /// What a click at the place asks for.
  std::vector<view::UserCommand> click(ImVec2 at) {
    ImGuiIO& io = ImGui::GetIO();
    io.MousePos = at;
    draw();
    std::vector<view::UserCommand> commands;
    for (const bool down : {true, false, false}) {
      io.MouseDown[0] = down;
      for (auto& c : draw()) commands.push_back(std::move(c));
    }
    return commands;
  }
  /// The first command of this kind that a click in the rectangle asks for; it is not carried out.
  template <typename Kind>
  std::optional<Kind> find(const Rect& where) {
    for (float y = where.y0 + 8; y < where.y1; y += 12)
      for (float x = where.x1 - 14; x > where.x0; x -= 12)
        for (const view::UserCommand& c : click({x, y}))
          if (const auto* command = std::get_if<view::Command>(&c))
            if (const auto* found = std::get_if<Kind>(command)) return *found;
    return std::nullopt;
  }
  Layout layout() { return make_layout(size_, *controller_.settle(), {}); }

 private:
  std::vector<view::UserCommand> draw() {
    std::vector<view::UserCommand> commands;
    screen_.draw({controller_.settle(), 1, false}, size_, {}, commands);
    return commands;
  }
  view::Controller& controller_;
  ImVec2 size_;
  Screen screen_{1};
};

}  // namespace

TEST_CASE("the button opens the list; an entry leads to its poke, × removes it, undo and redo are there") {
  for (const ImVec2 size : {ImVec2{1440, 900}, ImVec2{1024, 700}}) {
    CAPTURE(size.x);
    view::Controller controller;
    controller.settle();
    Clicked nothing(controller, size);
    CHECK_FALSE(nothing.find<view::OpenPokes>(nothing.layout().sentence));  // nothing was poked yet
    controller.send(view::PokeRow{view::Part::k, 3, Poke::Action::scramble, Poke::When::now});
    controller.settle();
    Clicked window(controller, size);
    const auto open = window.find<view::OpenPokes>(window.layout().sentence);
    REQUIRE(open);
    CHECK(open->open);
    controller.send(*open);
    REQUIRE(controller.settle()->pokes.comparison);

    Clicked listed(controller, size);
    Rect list = listed.layout().screen;
    list.x0 = list.x1 - 240;
    list.y0 = listed.layout().sentence.y1 + 2;
    list.y1 = list.y0 + 150;
    const auto show = listed.find<view::ShowPoke>(list);
    const auto remove = listed.find<view::RemovePoke>(list);
    REQUIRE(show);
    REQUIRE(remove);
    CHECK(show->poke.position == 3);
    CHECK(remove->poke == show->poke);
    CHECK(listed.find<view::UndoPoke>(list));
    CHECK_FALSE(listed.find<view::RedoPoke>(list));  // nothing to redo
    const auto close = listed.find<view::OpenPokes>(list);
    REQUIRE(close);
    CHECK_FALSE(close->open);
    // Clicks on the list do not reach what is behind it.
    CHECK_FALSE(listed.find<view::Pin>(list));
  }
}
