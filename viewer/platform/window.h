// The window: GLFW, an OpenGL 3.2 core context, and ImGui's two backends for them.
// Only window.cpp knows GLFW and OpenGL.
//
//   Window window("lastrow", 1440, 900);        throws UsageError if there is no display
//   while (!window.should_close()) {
//     window.wait(seconds);                     sleeps until something happens, or until the time is over
//     window.begin_frame();
//     ImGui::NewFrame();  …  ImGui::Render();
//     window.present(background);
//   }
// Use it from the main thread only, except for wake(). An ImGui context must exist before it and after it.
// ImGui works in logical pixels; one of them is scale() pixels wide in the framebuffer.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "viewer/platform/damage.h"
#include "viewer/platform/kept_picture.h"
#include "viewer/platform/key_press.h"

struct GLFWwindow;

namespace lastrow::ui {

/// The width of one logical pixel in framebuffer pixels: the display's own scale, or more for a framebuffer
/// of at least one and a half times the usual size, so that a 4K screen shows the same picture larger.
float scale_for(int pixels_x, int pixels_y, float content_scale);

class Window {
 public:
  Window(const std::string& title, int width, int height);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  bool should_close() const;
  /// Handles events; sleeps until one comes or the time is over. 0: no sleep; below 0: no time limit. Returns
  /// whether an event came: a key, the mouse, a new size, or the window was uncovered.
  bool wait(double seconds);
  /// Ends the wait of the main thread. Any thread may call it.
  static void wake();

  /// True if OpenGL runs on the CPU, without a GPU.
  bool draws_in_software() const { return software_; }

  float scale() const { return scale_; }
  /// Makes everything this much larger than the display's own scale. Takes effect in begin_frame().
  void set_zoom(float zoom) { zoom_ = zoom; }
  /// The size without zoom, logical.
  float plain_width() const { return width() * zoom_; }
  float plain_height() const { return height() * zoom_; }
  /// Logical size.
  float width() const { return static_cast<float>(pixels_x_) / scale_; }
  float height() const { return static_cast<float>(pixels_y_) / scale_; }

  /// The keys that went down since the last call. Arrow and page keys repeat while held.
  std::vector<KeyPress> take_keys();
  /// Gives ImGui the size, the mouse and the keys.
  /// Returns true if scale() has changed: then build the fonts again.
  bool begin_frame();
  /// Call it after the font atlas was built again.
  void fonts_changed();
  /// Draws what ImGui has rendered over one colour (0xAABBGGRR), and shows it. It draws only what has changed
  /// since the last call. Returns false if nothing has changed: then it shows nothing.
  bool present(unsigned background);

  void set_size(int width, int height);  // logical
  void toggle_full_screen();
  void close();
  static double now();  // seconds; steady

  struct Callbacks;

 private:
  void measure();
  void watch_events();
  void hold_short_presses();
  void draw_places(std::span<const PixelRect> places, unsigned background) const;

  GLFWwindow* window_ = nullptr;
  float scale_ = 1, zoom_ = 1;
  bool software_ = false;
  int pixels_x_ = 0, pixels_y_ = 0;
  struct Events {
    bool any = true;
    bool uncovered = false;  // the window must be shown again, though nothing in it has changed
    std::vector<KeyPress> keys;
    std::vector<int> codes;  // GLFW's, of keys that went down
    int mods = 0;            // held down with the last of them
  };
  Events events_;  // filled by GLFW's callbacks
  std::vector<int> held_for_a_frame_;
  Damage damage_;
  std::unique_ptr<KeptPicture> kept_;  // from the time there is an OpenGL context
  int windowed_[4] = {};               // place and size before full screen
};

}  // namespace lastrow::ui
