// What the tests of the window share: one display, and where things are in it.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "viewer/panels/layout.h"
#include "viewer_window/display.h"

namespace lastrow::ui {

using nlohmann::json;

inline constexpr int kWidth = 1440, kHeight = 900;

/// One display for all tests of the window; null, with the reason printed, where there can be none.
inline Display* display() {
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

inline PaneLayout pane_of(const json& state, Mode side) {
  lastrow::view::ViewState view;
  for (auto& pane : view.panes) {
    pane.n_tokens = state["panes"]["cached"]["n_tokens"];
    pane.k.head_dim = state["panes"]["cached"]["k"]["head_dim"];
    pane.forgets = state["panes"]["cached"]["forgets"];
  }
  view.panes[1].side = Mode::recompute;
  const json& window = state["panes"]["cached"]["window"];
  view.window = {view.panes[0].n_tokens, window["first"], window["n"], window["pinned"]};
  return make_layout({kWidth, kHeight}, view).panes[static_cast<size_t>(side)];
}

inline auto field(const char* name, json value) {
  return [=](const json& state) { return state[name] == value; };
}
/// Right-clicks a row and takes the menu's first entry: scramble now.
/// The menu is in the state once it is where it stays.
inline void scramble(ViewerWindow& viewer, const Rect& row) {
  viewer.click(row.center().x, row.center().y, 3);
  REQUIRE(viewer.becomes([](const json& s) { return !s["poke_menu"].is_null(); }));
  viewer.click(row.x1 + 60, row.y1 + 4 + 45);
}

}  // namespace lastrow::ui
