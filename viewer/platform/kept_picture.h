// The picture in the window, kept from frame to frame: OpenGL forgets what it has shown. So a frame needs to draw
// only what has changed.
//
//   KeptPicture kept;                 after the OpenGL context was made current
//   kept.begin(width, height);        what follows is drawn over the last picture; false: there is none to draw on
//   … draw …
//   kept.show();                      copies it to the window; then swap the buffers
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
