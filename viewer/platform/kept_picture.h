// Keeps the window's picture from frame to frame, so that a frame draws only what has changed. OpenGL itself
// does not keep a picture that it has shown.
//
//   KeptPicture kept;                 after the OpenGL context was made current
//   if (kept.begin(width, height))    what follows is drawn over the last picture
//   … draw …
//   kept.show();                      copies it to the window; then swap the buffers
//
// If begin() returns false, draw all of the window, and do not call show().
#pragma once

#include <cstdint>

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
  void show();

 private:
  void make(int width, int height);
  void remove();

  struct Functions;
  const Functions* gl_ = nullptr;  // null: not possible here
  uint32_t frame_buffer_ = 0, colors_ = 0;
  int width_ = 0, height_ = 0;
  bool is_new_ = false;
};

}  // namespace lastrow::ui
