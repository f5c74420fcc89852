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
  gl_->bind_frame_buffer(kFramebuffer, frame_buffer_);
  return true;
}

void KeptPicture::show() {
  gl_->bind_frame_buffer(kReadFramebuffer, frame_buffer_);
  gl_->bind_frame_buffer(kDrawFramebuffer, 0);
  gl_->blit(0, 0, width_, height_, 0, 0, width_, height_, GL_COLOR_BUFFER_BIT, GL_NEAREST);
  gl_->bind_frame_buffer(kFramebuffer, 0);
}

}  // namespace lastrow::ui
