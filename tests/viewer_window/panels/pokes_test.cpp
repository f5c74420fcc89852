// The list of pokes as it is drawn: its button, its entries and their buttons react to the mouse, wherever
// the layout puts them.
#include <doctest/doctest.h>

#include "viewer_window/panels/mouse.h"

using namespace lastrow;
using namespace lastrow::ui;

TEST_CASE("the button opens the list; an entry leads to its poke, × removes it, undo and redo are there") {
  for (const ImVec2 size : {ImVec2{1440, 900}, ImVec2{1024, 700}}) {
    CAPTURE(size.x);
    view::Controller controller;
    controller.settle();
    MouseWindow nothing(controller, size);
    CHECK_FALSE(nothing.find<view::OpenPokes>(nothing.layout().sentence));  // nothing was poked yet
    controller.send(view::PokeRow{view::Part::k, 3, Poke::Action::scramble, Poke::When::now});
    controller.settle();
    MouseWindow window(controller, size);
    const auto open = window.find<view::OpenPokes>(window.layout().sentence);
    REQUIRE(open);
    CHECK(open->open);
    controller.send(*open);
    REQUIRE(controller.settle()->pokes.comparison);

    MouseWindow listed(controller, size);
    Rect list = listed.layout().screen;
    list.x0 = list.x1 - 240;
    list.y0 = listed.layout().sentence.y1 + 2;
    list.y1 = list.y0 + 220;
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
