// The whole window's content, one call a frame.
//
//   Screen screen(scale);
//   screen.draw(frame, size, keys, commands);   from ImGui's NewFrame to its Render; appends what the user
//   did Image picture = screen.picture();     the frame last drawn, without a display
//
// Each Screen has an ImGui context of its own, so that one can draw pictures while another is in the window.
// Between draws the caller's context is left as it was.
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

class Screen {
 public:
  explicit Screen(float scale);
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  /// For a window's backends, which work on the current context.
  ImGuiContext* context() const { return context_; }
  float scale() const { return scale_; }
  /// Builds the fonts anew for another size of pixels.
  void set_scale(float scale);
  /// size: logical pixels; taken only where no window has told ImGui its size.
  void draw(const view::Frame& frame, ImVec2 size, std::span<const KeyPress> keys,
            std::vector<view::UserCommand>& commands);
  /// Draws the state at rest often enough for menus to find their size, and returns the picture.
  Image picture_of(std::shared_ptr<const view::ViewState> view, int pixels_x, int pixels_y);
  Image picture();
  ImU32 background() const { return to_u32(colors_->hex().window); }
  /// Takes effect with the next draw.
  void scroll(const view::ScrollTokens& by) { scrolls_.push_back(by); }
  /// One line over the panes until the next key or click: what the window itself has to say.
  void say(view::Notice notice) { state_.own_notice = std::move(notice); }

 private:
  void send_keys(std::span<const KeyPress> keys, const view::ViewState& view,
                 std::vector<view::UserCommand>& commands);

  ImGuiContext* context_;
  float scale_;
  std::unique_ptr<Fonts> fonts_;
  std::unique_ptr<Colors> colors_;
  AlphaTexture atlas_;  // filled when first needed
  PanelState state_;
  std::vector<view::ScrollTokens> scrolls_;  // not yet carried out
};

}  // namespace lastrow::ui
