// The content of the whole window, with one call per frame.
//
//   Screen screen(scale);
//   screen.draw(frame, size, keys, commands);   a whole ImGui frame; appends what the user did to commands
//   Image picture = screen.picture();           the frame last drawn; needs no display
//
// Each Screen has its own ImGui context, so one Screen can draw pictures while another is in the window. Each
// call restores the context that was current before it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "viewer/panels/panel.h"
#include "viewer/platform/image.h"
#include "viewer/platform/key_press.h"
#include "viewer/platform/rasterizer.h"

struct ImGuiContext;

namespace lastrow::ui {

struct TextLog;

class Screen {
 public:
  explicit Screen(float scale);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// For the backends of a window, which use the current context.
  ImGuiContext* context() const { return context_; }
  float scale() const { return scale_; }
  /// Builds the fonts again for another scale.
  void set_scale(float scale);
  /// size: in logical pixels; used only if no window has given ImGui its size.
  void draw(const view::Frame& frame, ImVec2 size, std::span<const KeyPress> keys,
            std::vector<view::UserCommand>& commands);
  /// Draws the state at rest several times, so that menus find their size, and returns the picture.
  Image draw_picture(std::shared_ptr<const view::ViewState> view, int pixels_x, int pixels_y);
  Image picture();
  ImU32 background() const { return to_u32(colors_->hex().window); }
  /// For tests: each draw() replaces the content of the log (text_log.h); nullptr ends this.
  void log_texts(TextLog* log);

 private:
  void send_keys(std::span<const KeyPress> keys, const view::ViewState& view,
                 std::vector<view::UserCommand>& commands);

  ImGuiContext* context_;
  float scale_;
  std::unique_ptr<Fonts> fonts_;
  std::unique_ptr<Colors> colors_;
  AlphaTexture atlas_;  // filled when it is first needed
  PanelState state_;
  std::vector<KeyPress> waiting_keys_;  // Enter comes after the text that was typed before it
};

}  // namespace lastrow::ui
