// The window: GLFW, an OpenGL 3.2 core context, and ImGui's two backends for them. Only window.cpp knows GLFW
// and OpenGL.
//
//   Window window("lastrow", 1440, 900);        throws UsageError where there is no display
//   while (!window.should_close()) {
//     window.wait(seconds);                     sleeps until something happens, at most so long
//     window.begin_frame();  ImGui::NewFrame();  …  ImGui::Render();  window.present();
//   }
// Use it from the main thread only, but for wake(). An ImGui context must exist before and after it.
// Lengths given to ImGui are logical pixels; scale() of them make one logical pixel in the framebuffer.
#pragma once

#include <string>
#include <vector>

#include "viewer/platform/key_press.h"

struct GLFWwindow;

namespace lastrow::ui {

/// Framebuffer pixels for one logical pixel on a screen of that size: the display's own scale, and from twice
/// the usual size on more, so that a 4K screen shows the same picture larger.
float scale_for(int pixels_x, int pixels_y, float content_scale);

class Window {
 public:
  Window(const std::string& title, int width, int height);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  bool should_close() const;
  /// Handles events; sleeps until one comes or the time is over. 0 does not sleep; < 0 has no time limit.
  /// Returns whether there was one: keys, mouse, size, or the window uncovered.
  bool wait(double seconds);
  /// Ends the wait of the main thread. May be called from any thread.
  static void wake();

  /// Framebuffer pixels for one logical pixel: the display's own scale, and from twice the usual size on
  /// more, so that a 4K screen shows the same picture larger.
  float scale() const { return scale_; }
  /// Logical size.
  float width() const { return static_cast<float>(pixels_x_) / scale_; }
  float height() const { return static_cast<float>(pixels_y_) / scale_; }

  /// The keys that went down since the last call. Arrow and page keys repeat while held.
  std::vector<KeyPress> take_keys();
  /// Hands size, mouse and keys to ImGui. Returns true when scale() has changed: build the fonts anew.
  bool begin_frame();
  /// Must be called after the font atlas was built anew.
  void fonts_changed();
  /// Clears to one colour (0xAABBGGRR), draws what ImGui::Render() left, shows it.
  void present(unsigned background);

  void set_size(int width, int height);  // logical
  void toggle_full_screen();
  void close();
  static double now();  // seconds; steady

  struct Callbacks;

 private:
  void measure();
  void watch_events();
  void hold_short_presses();

  GLFWwindow* window_ = nullptr;
  float scale_ = 1;
  int pixels_x_ = 0, pixels_y_ = 0;
  struct Events {
    bool any = true;
    std::vector<KeyPress> keys;
    std::vector<int> codes;  // GLFW's, of keys that went down
    int mods = 0;            // held with the last of them
  };
  Events events_;  // filled by GLFW's callbacks
  std::vector<int> held_for_a_frame_;
  int windowed_[4] = {};  // place and size to go back to from full screen
};

}  // namespace lastrow::ui
