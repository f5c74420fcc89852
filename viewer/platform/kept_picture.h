// Keeps the window's picture from frame to frame, so that a frame draws only what has changed. OpenGL itself
// does not keep a picture that it has shown.
//
//   KeptPicture kept;                 after the OpenGL context was made current
//   if (kept.begin(width, height))    what follows is drawn over the last picture
//   … draw in the rectangles `changed` …
//   kept.show(changed);               copies it to the window; then swap the buffers
//
// If begin() returns false, draw all of the window, and do not call show().
//
// Without a GPU the copy of a whole picture costs as much as the drawing. Some systems keep the window's buffer
// when it is swapped, although OpenGL does not promise it. So the first frames check what the buffer holds. If it
// holds the last picture each time, later frames copy only what has changed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "viewer/platform/damage.h"

namespace lastrow::ui {

class KeptPicture {
 public:
  KeptPicture();
  ~KeptPicture();
  KeptPicture(const KeptPicture&) = delete;
  KeptPicture& operator=(const KeptPicture&) = delete;

  /// Returns false if this OpenGL cannot keep a picture: then draw all of it into the window.
  bool begin(int width, int height);
  /// True after a begin() with a new size: the picture is empty.
  bool is_new() const { return is_new_; }
  /// changed: where the picture may differ from the one that was shown last.
  void show(std::span<const PixelRect> changed);
  /// True once it is known that the window's buffer is kept, so that only changed places are copied.
  bool copies_changes() const { return times_kept_ >= kTimesToBelieve; }

 private:
  static constexpr int kTimesToBelieve = 3;

  void make(int width, int height);
  void remove();
  void look_at_the_window();
  std::vector<uint8_t> pixels(uint32_t frame_buffer, const PixelRect& place) const;

  struct Functions;
  const Functions* gl_ = nullptr;  // null: not possible here
  uint32_t frame_buffer_ = 0, colors_ = 0;
  int width_ = 0, height_ = 0;
  bool is_new_ = false;
  int times_kept_ = 0;    // how often the window's buffer held the last picture; −1: it did not
  PixelRect last_shown_;  // a place whose pixels the last picture changed; empty: none is known
};

}  // namespace lastrow::ui
