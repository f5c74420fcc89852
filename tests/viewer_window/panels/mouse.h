// A window without a display, with a mouse that a test moves. It finds things by clicking, so it does not
// need to know where the layout puts them.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "viewer/panels/screen.h"
#include "viewer/view_model/run/controller.h"

namespace lastrow::ui {

class MouseWindow {
 public:
  explicit MouseWindow(view::Controller& controller, ImVec2 size) : controller_(controller), size_(size) {
    ImGuiContext* const before = ImGui::GetCurrentContext();
    ImGui::SetCurrentContext(context());
    ImGuiIO& io = ImGui::GetIO();
    ImGui::SetCurrentContext(before);
    io.BackendPlatformName = "test";  // then the screen leaves size and mouse to us
    io.DisplaySize = size;
    io.DisplayFramebufferScale = {1, 1};
    io_ = &io;
    for (int i = 0; i < 3; ++i) draw();
  }
  void point(ImVec2 at) {
    io_->MousePos = at;
    draw();
    draw();
  }
  /// What a click at the place asks for.
  std::vector<view::UserCommand> click(ImVec2 at) {
    point(at);
    std::vector<view::UserCommand> commands;
    for (const bool down : {true, false, false}) {
      io_->MouseDown[0] = down;
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
  Layout layout() { return make_layout(size_, *controller_.settle()); }

  /// A frame; what it asks for is returned, not carried out.
  std::vector<view::UserCommand> draw() {
    std::vector<view::UserCommand> commands;
    screen_.draw({controller_.settle(), 1, false}, size_, {}, commands);
    return commands;
  }
  ImGuiContext* context() const { return screen_.context(); }

 private:
  view::Controller& controller_;
  ImVec2 size_;
  ImGuiIO* io_ = nullptr;
  Screen screen_{1};
};

}  // namespace lastrow::ui
