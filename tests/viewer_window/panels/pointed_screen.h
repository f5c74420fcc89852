// A screen without a window, whose mouse and size the test chooses.
//
//   PointedScreen screen(1440, 900);      pixels of the framebuffer
//   screen.point({300, 200});             logical; nullopt: the mouse is outside
//   screen.press(0, true);                a button, until it is released
//   screen.draw(frame, commands);
#pragma once

#include <imgui.h>

#include <cfloat>
#include <optional>
#include <span>
#include <vector>

#include "viewer/panels/screen.h"
#include "viewer/platform/window.h"

namespace lastrow::ui {

class PointedScreen {
 public:
  PointedScreen(int pixels_x, int pixels_y) : screen_(scale_for(pixels_x, pixels_y, 1)) {
    io().BackendPlatformName = "test";  // so Screen takes size and mouse from here
    resize(pixels_x, pixels_y);
    point({});
  }

  Screen& screen() { return screen_; }
  ImVec2 size() const { return size_; }

  /// Everything this much larger than at the size's own scale, as in lecture mode.
  void zoom(float factor) {
    if (factor == zoom_) return;
    zoom_ = factor;
    resize(pixels_[0], pixels_[1]);
  }
  void resize(int pixels_x, int pixels_y) {
    pixels_[0] = pixels_x;
    pixels_[1] = pixels_y;
    const float scale = scale_for(pixels_x, pixels_y, 1) * zoom_;
    screen_.set_scale(scale);
    size_ = {static_cast<float>(pixels_x) / scale, static_cast<float>(pixels_y) / scale};
    io().DisplaySize = size_;
    io().DisplayFramebufferScale = {scale, scale};
  }
  void point(std::optional<ImVec2> at) {
    const ImVec2 place = at.value_or(ImVec2{-FLT_MAX, -FLT_MAX});
#if IMGUI_VERSION_NUM < 18700
    io().MousePos = place;
#else
    io().AddMousePosEvent(place.x, place.y);
#endif
  }
  void press(int button, bool down) {
#if IMGUI_VERSION_NUM < 18700
    io().MouseDown[button] = down;
#else
    io().AddMouseButtonEvent(button, down);
#endif
  }
  void wheel(float across, float down) {
#if IMGUI_VERSION_NUM < 18700
    io().MouseWheelH = across;
    io().MouseWheel = down;
#else
    io().AddMouseWheelEvent(across, down);
#endif
  }
  void draw(const view::Frame& frame, std::vector<view::UserCommand>& commands,
            std::span<const KeyPress> keys = {}) {
    screen_.draw(frame, size_, keys, commands);
  }
  /// Several frames, so that menus find their size and place.
  void draw_at_rest(std::shared_ptr<const view::ViewState> view) {
    std::vector<view::UserCommand> ignored;
    const view::Frame frame{std::move(view), 1, false};
    for (int i = 0; i < 3; ++i) draw(frame, ignored);
  }

 private:
  ImGuiIO& io() {
    ImGui::SetCurrentContext(screen_.context());
    return ImGui::GetIO();
  }

  Screen screen_;
  ImVec2 size_{};
  int pixels_[2] = {};
  float zoom_ = 1;
};

}  // namespace lastrow::ui
