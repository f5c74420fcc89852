#include "viewer/platform/kept_picture.h"

#include <GLFW/glfw3.h>

#include <type_traits>

namespace lastrow::ui {
namespace {

// Of OpenGL 3.0; the headers of some systems end at 1.1.
constexpr GLenum kFramebuffer = 0x8D40, kReadFramebuffer = 0x8CA8, kDrawFramebuffer = 0x8CA9,
                 kRenderbuffer = 0x8D41, kColorAttachment = 0x8CE0, kComplete = 0x8CD5, kRgba8 = 0x8058;

}  // namespace

struct KeptPicture::Functions {
  using Make = void (*)(GLsizei, GLuint*);
  using Delete = void (*)(GLsizei, const GLuint*);
  using Bind = void (*)(GLenum, GLuint);
  using Storage = void (*)(GLenum, GLenum, GLsizei, GLsizei);
  using Attach = void (*)(GLenum, GLenum, GLenum, GLuint);
  using Check = GLenum (*)(GLenum);
  using Blit = void (*)(GLint, GLint, GLint, GLint, GLint, GLint, GLint, GLint, GLbitfield, GLenum);

  Make make_frame_buffers, make_render_buffers;
  Delete delete_frame_buffers, delete_render_buffers;
  Bind bind_frame_buffer, bind_render_buffer;
  Storage storage;
  Attach attach;
  Check check;
  Blit blit;

  bool complete() const {
    return make_frame_buffers != nullptr && make_render_buffers != nullptr &&
           delete_frame_buffers != nullptr && delete_render_buffers != nullptr &&
           bind_frame_buffer != nullptr && bind_render_buffer != nullptr && storage != nullptr &&
           attach != nullptr && check != nullptr && blit != nullptr;
  }
  static Functions load() {
    Functions f{};
    const auto get = [](auto& function, const char* name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(glfwGetProcAddress(name));
    };
    get(f.make_frame_buffers, "glGenFramebuffers");
    get(f.make_render_buffers, "glGenRenderbuffers");
    get(f.delete_frame_buffers, "glDeleteFramebuffers");
    get(f.delete_render_buffers, "glDeleteRenderbuffers");
    get(f.bind_frame_buffer, "glBindFramebuffer");
    get(f.bind_render_buffer, "glBindRenderbuffer");
    get(f.storage, "glRenderbufferStorage");
    get(f.attach, "glFramebufferRenderbuffer");
    get(f.check, "glCheckFramebufferStatus");
    get(f.blit, "glBlitFramebuffer");
    return f;
  }
};

KeptPicture::KeptPicture() {
  static Functions functions;
  functions = Functions::load();  // they belong to the context
  if (functions.complete()) gl_ = &functions;
}

KeptPicture::~KeptPicture() { remove(); }

void KeptPicture::remove() {
  if (frame_buffer_ == 0) return;
  gl_->delete_frame_buffers(1, &frame_buffer_);
  gl_->delete_render_buffers(1, &colors_);
  frame_buffer_ = colors_ = 0;
}

void KeptPicture::make(int width, int height) {
  remove();
  width_ = width;
  height_ = height;
  times_kept_ = 0;
  last_shown_ = {};
  gl_->make_frame_buffers(1, &frame_buffer_);
  gl_->make_render_buffers(1, &colors_);
  gl_->bind_render_buffer(kRenderbuffer, colors_);
  gl_->storage(kRenderbuffer, kRgba8, width, height);
  gl_->bind_frame_buffer(kFramebuffer, frame_buffer_);
  gl_->attach(kFramebuffer, kColorAttachment, kRenderbuffer, colors_);
  if (gl_->check(kFramebuffer) == kComplete) return;
  gl_->bind_frame_buffer(kFramebuffer, 0);
  remove();
  gl_ = nullptr;
}

bool KeptPicture::begin(int width, int height) {
  if (gl_ == nullptr || width < 1 || height < 1) return false;
  is_new_ = frame_buffer_ == 0 || width != width_ || height != height_;
  if (is_new_) make(width, height);
  if (gl_ == nullptr) return false;
  look_at_the_window();
  gl_->bind_frame_buffer(kFramebuffer, frame_buffer_);
  return true;
}

std::vector<uint8_t> KeptPicture::pixels(uint32_t frame_buffer, const PixelRect& place) const {
  std::vector<uint8_t> rgb(static_cast<size_t>(place.area()) * 3);
  gl_->bind_frame_buffer(kReadFramebuffer, frame_buffer);
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(place.x0, height_ - place.y1, place.x1 - place.x0, place.y1 - place.y0, GL_RGB,
               GL_UNSIGNED_BYTE, rgb.data());
  return rgb;
}

/// Checks whether the window's buffer still holds the last picture. Call it before the next picture is drawn.
void KeptPicture::look_at_the_window() {
  if (last_shown_.empty() || times_kept_ < 0 || copies_changes()) return;
  times_kept_ = pixels(0, last_shown_) == pixels(frame_buffer_, last_shown_) ? times_kept_ + 1 : -1;
}

void KeptPicture::show(std::span<const PixelRect> changed) {
  const PixelRect window{0, 0, width_, height_};
  // Remember a rectangle whose pixels change now.
  // It shows later whether the buffer holds this picture or an older one.
  last_shown_ = {};
  if (times_kept_ >= 0 && !copies_changes() && !changed.empty() &&
      pixels(0, changed.front()) != pixels(frame_buffer_, changed.front()))
    last_shown_ = changed.front();
  gl_->bind_frame_buffer(kReadFramebuffer, frame_buffer_);
  gl_->bind_frame_buffer(kDrawFramebuffer, 0);
  for (const PixelRect& place : copies_changes() && !changed.empty() ? changed : std::span(&window, 1)) {
    const GLint x0 = place.x0, x1 = place.x1, y0 = height_ - place.y1, y1 = height_ - place.y0;
    gl_->blit(x0, y0, x1, y1, x0, y0, x1, y1, GL_COLOR_BUFFER_BIT, GL_NEAREST);
  }
  gl_->bind_frame_buffer(kFramebuffer, 0);
}

}  // namespace lastrow::ui
