#include "viewer/panels/screen.h"

#include <algorithm>
#include <cfloat>
#include <utility>

#include "viewer/draw/text_log.h"
#include "viewer/imgui/versions.h"
#include "viewer/panels/pointing.h"
#include "viewer/panels/scroll.h"

namespace lastrow::ui {
namespace {

/// Makes an ImGui context current until this object is destroyed.
class Current {
 public:
  explicit Current(ImGuiContext* context) : before_(ImGui::GetCurrentContext()) {
    ImGui::SetCurrentContext(context);
  }
  ~Current() { ImGui::SetCurrentContext(before_); }
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  ImGuiContext* before_;
};

constexpr ImGuiWindowFlags kRootFlags =
    ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoSavedSettings |
    ImGuiWindowFlags_NoBringToFrontOnFocus | ImGuiWindowFlags_NoNav | ImGuiWindowFlags_NoScrollWithMouse;

void draw_panels(Panel& panel) {
  if (panel.view.ready) {
    draw_transport(panel);
    draw_tokens(panel);
    draw_sentence(panel);
    if (!panel.layout.rail.empty()) draw_rail(panel);
    if (!panel.layout.model.empty()) draw_model_strip(panel);
    draw_pane(panel, Mode::cached);
    draw_pane(panel, Mode::recompute);
    if (!panel.layout.costs.empty()) draw_costs(panel);
    draw_tabs(panel);
    draw_legend(panel);
    draw_inspector(panel);  // in a narrow window it lies over the bars at the bottom
    handle_mouse(panel);
  }
}

}  // namespace

Screen::Screen(float scale) : context_(ImGui::CreateContext()), scale_(0) {
  const Current current(context_);
  ImGuiIO& io = ImGui::GetIO();
  io.IniFilename = nullptr;
  io.ConfigInputTextCursorBlink = false;  // a blinking cursor would redraw an idle window
  io.BackendFlags |= ImGuiBackendFlags_RendererHasVtxOffset;
  io.DeltaTime = 1.0f / 60;
  draw_without_backend();
  set_scale(scale);
}

Screen::~Screen() { ImGui::DestroyContext(context_); }

void Screen::set_scale(float scale) {
  if (scale == scale_) return;
  const Current current(context_);
  scale_ = scale;
  fonts_ = std::make_unique<Fonts>(scale);
  atlas_ = {};
}

void Screen::log_texts(TextLog* log) {
  const Current current(context_);
  ImGui::GetIO().UserData = log;  // Canvas takes it from there
}

void Screen::send_keys(std::span<const KeyPress> keys, const view::ViewState& view,
                       std::vector<view::UserCommand>& commands) {
  const bool typing = view.prompt_box.open || view.file_box.open;
  for (const KeyPress& press : keys) {
    if (typing && press.key == view::Key::enter) state_.box_entered = true;
    for (const view::KeyBinding& binding : view::key_table()) {
      const bool while_typing = (binding.ctrl && binding.key == view::Key::character) ||
                                binding.key == view::Key::escape || binding.key == view::Key::f11;
      const bool edits_text = binding.ctrl && (binding.character == 'z' || binding.character == 'y');
      if ((typing && (!while_typing || edits_text)) || !matches(binding, press)) continue;
      commands.push_back(binding.command);
    }
  }
}

void Screen::draw(const view::Frame& frame, ImVec2 size, std::span<const KeyPress> keys,
                  std::vector<view::UserCommand>& commands) {
  const Current current(context_);
  ImGuiIO& io = ImGui::GetIO();
  if (io.BackendPlatformName == nullptr) {
    io.DisplaySize = size;
    io.DisplayFramebufferScale = {scale_, scale_};
    io.MousePos = {-FLT_MAX, -FLT_MAX};
  }
  if (colors_ == nullptr || colors_->theme() != frame.view->theme) {
    colors_ = std::make_unique<Colors>(frame.view->theme);
    apply_style(*colors_);
  }
  if (auto* log = static_cast<TextLog*>(io.UserData)) log->clear();
  ImGui::NewFrame();
  waiting_keys_.insert(waiting_keys_.end(), keys.begin(), keys.end());
  if (!input_waits()) send_keys(std::exchange(waiting_keys_, {}), *frame.view, commands);
  ImGui::SetNextWindowPos({0, 0});
  ImGui::SetNextWindowSize(io.DisplaySize);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, {0, 0});
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, 0);
  ImGui::PushStyleVar(ImGuiStyleVar_WindowRounding, 0);
  ImGui::Begin("lastrow", nullptr, kRootFlags);
  ImGui::PopStyleVar(3);
  Canvas canvas(ImGui::GetWindowDrawList(), *colors_, *fonts_, scale_);
  const Layout layout = make_layout(io.DisplaySize, *frame.view);
  if (const int room = rows_that_fit(io.DisplaySize, *frame.view); room != frame.view->room)
    commands.push_back(view::SetRoom{room});
  Panel panel{canvas, *frame.view, frame.progress, layout, state_, commands};
  draw_panels(panel);
  ImGui::End();
  if (frame.view->ready) draw_pokes(panel);
  draw_menus(panel);
  draw_overlays(panel);
  ImGui::Render();
}

Image Screen::picture() {
  const Current current(context_);
  if (atlas_.alpha.empty() || kGlyphsOnDemand) atlas_ = font_texture();
  return rendered_picture(atlas_, background());
}

Image Screen::draw_picture(std::shared_ptr<const view::ViewState> view, int pixels_x, int pixels_y) {
  const view::Frame frame{std::move(view), 1, false};
  std::vector<view::UserCommand> ignored;
  constexpr int kFramesToSettle = 3;  // a menu is measured in its first frame and placed in its second
  for (int i = 0; i < kFramesToSettle; ++i)
    draw(frame, {static_cast<float>(pixels_x) / scale_, static_cast<float>(pixels_y) / scale_}, {}, ignored);
  return picture();
}

}  // namespace lastrow::ui
