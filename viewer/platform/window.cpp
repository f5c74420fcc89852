#include "viewer/platform/window.h"

#include <GLFW/glfw3.h>
#include <backends/imgui_impl_glfw.h>
#include <backends/imgui_impl_opengl3.h>
#include <imgui.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace lastrow::ui {
namespace {

constexpr float kUsualWidth = 1440, kUsualHeight = 900;  // the size the layout is made for
constexpr int kLeastWindowWidth = 1024, kLeastWindowHeight = 700;

constexpr const char* kSoftware[] = {"llvmpipe", "softpipe", "swrast", "SwiftShader", "Software"};

std::string last_glfw_error() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text != nullptr ? text : "no reason given";
}

bool is_software(const char* renderer) {
  if (renderer == nullptr) return false;
  const std::string_view name = renderer;
  return std::any_of(std::begin(kSoftware), std::end(kSoftware),
                     [&](const char* known) { return name.find(known) != std::string_view::npos; });
}

}  // namespace

Window::Window(const std::string& title, int width, int height) {
  if (glfwInit() != GLFW_TRUE)
    throw UsageError("no window can be opened ({}): use --headless to write pictures instead",
                     last_glfw_error());
  glfwWindowHint(GLFW_CONTEXT_VERSION_MAJOR, 3);
  glfwWindowHint(GLFW_CONTEXT_VERSION_MINOR, 2);
  glfwWindowHint(GLFW_OPENGL_PROFILE, GLFW_OPENGL_CORE_PROFILE);
  glfwWindowHint(GLFW_OPENGL_FORWARD_COMPAT, GLFW_TRUE);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  window_ = glfwCreateWindow(width, height, title.c_str(), nullptr, nullptr);
  if (window_ == nullptr) {
    const std::string reason = last_glfw_error();
    glfwTerminate();
    throw UsageError("no window with OpenGL 3.2 can be opened ({}): use --headless to write pictures instead",
                     reason);
  }
  glfwMakeContextCurrent(window_);
  glfwSwapInterval(1);
  watch_events();
  ImGui_ImplGlfw_InitForOpenGL(window_, true);
  ImGui_ImplOpenGL3_Init("#version 150");
  kept_ = std::make_unique<KeptPicture>();
  software_ = is_software(reinterpret_cast<const char*>(glGetString(GL_RENDERER)));
  measure();
  glfwSetWindowSizeLimits(window_, kLeastWindowWidth, kLeastWindowHeight, GLFW_DONT_CARE, GLFW_DONT_CARE);
}

Window::~Window() {
  kept_.reset();
  ImGui_ImplOpenGL3_Shutdown();
  ImGui_ImplGlfw_Shutdown();
  glfwDestroyWindow(window_);
  glfwTerminate();
}

bool Window::should_close() const { return glfwWindowShouldClose(window_) != 0; }
void Window::close() { glfwSetWindowShouldClose(window_, GLFW_TRUE); }
void Window::wake() { glfwPostEmptyEvent(); }
double Window::now() { return glfwGetTime(); }

/// What GLFW calls. ImGui's backend is installed later and calls these before its own callbacks.
struct Window::Callbacks {
  static Events& events(GLFWwindow* window) {
    return *static_cast<Events*>(glfwGetWindowUserPointer(window));
  }
  static void note(GLFWwindow* window) { events(window).any = true; }
  static void uncovered(GLFWwindow* window) { events(window).any = events(window).uncovered = true; }

  static void key(GLFWwindow* window, int key, int scancode, int action, int mods) {
    note(window);
    if (action != GLFW_RELEASE) {
      events(window).codes.push_back(key);
      events(window).mods = mods;
    }
    if (action == GLFW_RELEASE || (mods & (GLFW_MOD_ALT | GLFW_MOD_SUPER)) != 0) return;
    KeyPress press{.shift = (mods & GLFW_MOD_SHIFT) != 0, .ctrl = (mods & GLFW_MOD_CONTROL) != 0};
    const auto known =
        std::find_if(std::begin(kKeys), std::end(kKeys), [&](const auto& k) { return k.first == key; });
    if (known != std::end(kKeys)) {
      press.key = known->second;
      const bool repeats = press.key >= view::Key::left && press.key <= view::Key::page_down;
      if (action == GLFW_PRESS || repeats) events(window).keys.push_back(press);
    } else if (press.ctrl && action == GLFW_PRESS) {  // without Ctrl the key comes as a character
      const char* name = glfwGetKeyName(key, scancode);
      if (name == nullptr || name[0] == 0 || name[1] != 0) return;
      press.character = name[0];
      events(window).keys.push_back(press);
    }
  }
  static void character(GLFWwindow* window, unsigned code) {
    note(window);
    if (code <= ' ' || code > '~') return;
    const auto sign = static_cast<char>(code);
    const bool upper = sign >= 'A' && sign <= 'Z';
    events(window).keys.push_back({.character = upper ? static_cast<char>(sign + ('a' - 'A')) : sign});
  }

  static constexpr std::pair<int, view::Key> kKeys[] = {{GLFW_KEY_SPACE, view::Key::space},
                                                        {GLFW_KEY_LEFT, view::Key::left},
                                                        {GLFW_KEY_RIGHT, view::Key::right},
                                                        {GLFW_KEY_UP, view::Key::up},
                                                        {GLFW_KEY_DOWN, view::Key::down},
                                                        {GLFW_KEY_PAGE_UP, view::Key::page_up},
                                                        {GLFW_KEY_PAGE_DOWN, view::Key::page_down},
                                                        {GLFW_KEY_HOME, view::Key::home},
                                                        {GLFW_KEY_END, view::Key::end},
                                                        {GLFW_KEY_ENTER, view::Key::enter},
                                                        {GLFW_KEY_KP_ENTER, view::Key::enter},
                                                        {GLFW_KEY_ESCAPE, view::Key::escape},
                                                        {GLFW_KEY_F11, view::Key::f11}};
};

void Window::watch_events() {
  glfwSetWindowUserPointer(window_, &events_);
  glfwSetKeyCallback(window_, Callbacks::key);
  glfwSetCharCallback(window_, Callbacks::character);
  glfwSetMouseButtonCallback(window_, [](GLFWwindow* w, int, int, int) { Callbacks::note(w); });
  glfwSetCursorPosCallback(window_, [](GLFWwindow* w, double, double) { Callbacks::note(w); });
  glfwSetCursorEnterCallback(window_, [](GLFWwindow* w, int) { Callbacks::note(w); });
  glfwSetScrollCallback(window_, [](GLFWwindow* w, double, double) { Callbacks::note(w); });
  glfwSetWindowFocusCallback(window_, [](GLFWwindow* w, int) { Callbacks::note(w); });
  glfwSetWindowRefreshCallback(window_, Callbacks::uncovered);
  glfwSetFramebufferSizeCallback(window_, [](GLFWwindow* w, int, int) { Callbacks::uncovered(w); });
  glfwSetWindowContentScaleCallback(window_, [](GLFWwindow* w, float, float) { Callbacks::note(w); });
}

std::vector<KeyPress> Window::take_keys() { return std::exchange(events_.keys, {}); }

bool Window::wait(double seconds) {
  events_.any = false;
  if (seconds < 0)
    glfwWaitEvents();
  else if (seconds > 0)
    glfwWaitEventsTimeout(seconds);
  else
    glfwPollEvents();
  return events_.any;
}

void Window::measure() {
  glfwGetFramebufferSize(window_, &pixels_x_, &pixels_y_);
  float content_x = 1, content_y = 1;
  glfwGetWindowContentScale(window_, &content_x, &content_y);
  scale_ = scale_for(pixels_x_, pixels_y_, content_x) * zoom_;
}

float scale_for(int pixels_x, int pixels_y, float content_scale) {
  const float fit =
      std::min(static_cast<float>(pixels_x) / kUsualWidth, static_cast<float>(pixels_y) / kUsualHeight);
  const float large = std::floor(fit * 2) / 2;  // a multiple of ½, so that lines stay sharp
  return std::clamp(std::max(content_scale, large), 1.0f, 4.0f);
}

/// ImGui before 1.87 sees only which keys are down when a frame begins, so it misses a key that was pressed
/// and released since the last frame. For ImGui such a key stays down for one frame.
void Window::hold_short_presses() {
#if IMGUI_VERSION_NUM < 18700
  ImGuiIO& io = ImGui::GetIO();
  const auto is_down = [&](int code) { return glfwGetKey(window_, code) == GLFW_PRESS; };
  if (!held_for_a_frame_.empty()) {
    io.KeyCtrl = is_down(GLFW_KEY_LEFT_CONTROL) || is_down(GLFW_KEY_RIGHT_CONTROL);
    io.KeyShift = is_down(GLFW_KEY_LEFT_SHIFT) || is_down(GLFW_KEY_RIGHT_SHIFT);
  }
  for (const int code : std::exchange(held_for_a_frame_, {})) io.KeysDown[code] = is_down(code);
  for (const int code : std::exchange(events_.codes, {})) {
    if (code < 0 || code >= IM_ARRAYSIZE(io.KeysDown)) continue;
    io.KeysDown[code] = true;
    held_for_a_frame_.push_back(code);
  }
  if (held_for_a_frame_.empty()) return;
  io.KeyCtrl = (events_.mods & GLFW_MOD_CONTROL) != 0;
  io.KeyShift = (events_.mods & GLFW_MOD_SHIFT) != 0;
#else
  events_.codes.clear();
#endif
}

bool Window::begin_frame() {
  const float before = scale_;
  measure();
  ImGui_ImplOpenGL3_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  hold_short_presses();
  ImGuiIO& io = ImGui::GetIO();
  int window_x = 1, window_y = 1;
  glfwGetWindowSize(window_, &window_x, &window_y);
  // The backend counts in window coordinates, the panels in logical pixels.
  const float factor = width() / static_cast<float>(std::max(1, window_x));
  io.DisplaySize = {width(), height()};
  io.DisplayFramebufferScale = {scale_, scale_};
#if IMGUI_VERSION_NUM < 18700
  if (io.MousePos.x > -FLT_MAX) io.MousePos = {io.MousePos.x * factor, io.MousePos.y * factor};
#else
  double x = 0, y = 0;
  glfwGetCursorPos(window_, &x, &y);
  io.AddMousePosEvent(static_cast<float>(x) * factor, static_cast<float>(y) * factor);
#endif
  return scale_ != before;
}

void Window::fonts_changed() {
  damage_.forget();
#if IMGUI_VERSION_NUM < 19200
  ImGui_ImplOpenGL3_DestroyFontsTexture();
  ImGui_ImplOpenGL3_CreateFontsTexture();
#endif
}

bool Window::present(unsigned background) {
  const ImDrawData& data = *ImGui::GetDrawData();
  if (!kept_->begin(pixels_x_, pixels_y_)) {
    draw_places({}, background);
    glfwSwapBuffers(window_);
    return true;
  }
  if (kept_->is_new()) damage_.forget();
  const std::vector<PixelRect>& changed = damage_.update(data, background);
  const bool uncovered = std::exchange(events_.uncovered, false);
  if (changed.empty() && !uncovered) return false;
  if (!changed.empty())
    draw_places(OnlyIn::possible(data) ? std::span<const PixelRect>(changed) : std::span<const PixelRect>(),
                background);
  kept_->show(uncovered ? std::span<const PixelRect>() : std::span<const PixelRect>(changed));
  glfwSwapBuffers(window_);
  return true;
}

/// Draws these rectangles again; if there are none, the whole window.
void Window::draw_places(std::span<const PixelRect> places, unsigned background) const {
  const ImVec4 color = ImGui::ColorConvertU32ToFloat4(background);
  glViewport(0, 0, pixels_x_, pixels_y_);
  glClearColor(color.x, color.y, color.z, 1);
  if (places.empty()) {
    glClear(GL_COLOR_BUFFER_BIT);
    ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
    return;
  }
  glEnable(GL_SCISSOR_TEST);
  for (const PixelRect& place : places) {
    glScissor(place.x0, pixels_y_ - place.y1, place.x1 - place.x0, place.y1 - place.y0);
    glClear(GL_COLOR_BUFFER_BIT);
  }
  glDisable(GL_SCISSOR_TEST);
  const OnlyIn only(*ImGui::GetDrawData(), places);
  ImGui_ImplOpenGL3_RenderDrawData(ImGui::GetDrawData());
}

void Window::set_size(int width, int height) {
  if (glfwGetWindowMonitor(window_) != nullptr) toggle_full_screen();
  float content_x = 1, content_y = 1;
  glfwGetWindowContentScale(window_, &content_x, &content_y);
  int window_x = 1, window_y = 1;
  glfwGetWindowSize(window_, &window_x, &window_y);
  const float per_pixel = static_cast<float>(window_x) / static_cast<float>(std::max(1, pixels_x_));
  glfwSetWindowSize(window_, static_cast<int>(std::lround(static_cast<float>(width) * content_x * per_pixel)),
                    static_cast<int>(std::lround(static_cast<float>(height) * content_y * per_pixel)));
}

void Window::toggle_full_screen() {
  if (glfwGetWindowMonitor(window_) != nullptr) {
    glfwSetWindowMonitor(window_, nullptr, windowed_[0], windowed_[1], windowed_[2], windowed_[3], 0);
    return;
  }
  GLFWmonitor* monitor = glfwGetPrimaryMonitor();
  if (monitor == nullptr) return;
  const GLFWvidmode* mode = glfwGetVideoMode(monitor);
  glfwGetWindowPos(window_, &windowed_[0], &windowed_[1]);
  glfwGetWindowSize(window_, &windowed_[2], &windowed_[3]);
  glfwSetWindowMonitor(window_, monitor, 0, 0, mode->width, mode->height, mode->refreshRate);
}

}  // namespace lastrow::ui
