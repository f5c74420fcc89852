#include "viewer/app/window_app.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "io/checked.h"
#include "viewer/app/checks.h"
#include "viewer/app/picture_writer.h"
#include "viewer/imgui/versions.h"
#include "viewer/panels/screen.h"
#include "viewer/platform/window.h"
#include "viewer/view_model/script/parse_script.h"
#include "viewer/view_model/state/state_json.h"

namespace lastrow::ui {

namespace {

namespace fs = std::filesystem;

/// In a window, a script also resizes the window.
class WindowPictureWriter final : public PictureWriter {
 public:
  WindowPictureWriter(Window& window, std::string folder, int width, int height)
      : PictureWriter(std::move(folder), width, height), window_(window) {}
  void resize(int width, int height) override {
    PictureWriter::resize(width, height);
    window_.set_size(width, height);
  }

 private:
  Window& window_;
};

/// The window, and everything that lives as long as it is open.
class WindowApp {
 public:
  explicit WindowApp(const AppOptions& options)
      : options_(options),
        controller_(options.controller),
        screen_(1),
        current_((ImGui::SetCurrentContext(screen_.context()), screen_.context())),
        window_("lastrow", options.width, options.height),
        pictures_(window_, options.out, options.width, options.height) {
    const view::Script script = options.script.empty() ? view::Script() : view::load_script(options.script);
    require_different_files(options, script, "");
    if (options.script.empty()) return;
    controller_.play(script, &pictures_);
    controller_.send(view::PlayPause{});  // a sentence stays until Enter, because somebody explains it
  }

  int run() {
    const double start = Window::now();
    while (!window_.should_close()) {
      const double now = Window::now();
      if (options_.seconds > 0 && now - start > options_.seconds) break;
      const view::Frame frame = controller_.frame(now);
      follow(frame);
      if (frame.view != shown_ || frame.progress != shown_progress_) note_change();
      if (frames_due_ > 0 && now >= next_frame_) {
        --frames_due_;
        draw(frame);
      }
      if (frames_due_ == 0 || frame.progress < 1) write_watched_state();
      if (window_.wait(pause_after(frame))) note_change();
    }
    write_watched_state();
    return controller_.script_exit_code();
  }

 private:
  static constexpr double kLookAgain = 1.0 / 30, kIdle = 0.5;

  /// A tooltip is measured in the first frame and shown in the second; a menu needs one more.
  void note_change() {
    const bool menu =
        shown_ && (shown_->poke_menu || shown_->prompt_box.open || ImGui::IsPopupOpen("", kAnyPopup));
    frames_due_ = menu ? 3 : 2;
  }
  static constexpr ImGuiPopupFlags kAnyPopup = ImGuiPopupFlags_AnyPopupId | ImGuiPopupFlags_AnyPopupLevel;

  /// The time between two frames that show something new. Without a GPU each costs milliseconds.
  double period() const { return window_.draws_in_software() ? 1.0 / 30 : 1.0 / 60; }

  double pause_after(const view::Frame& frame) const {
    if (frames_due_ > 0 || frame.progress < 1) return std::max(0.001, next_frame_ - Window::now());
    return frame.animating ? kLookAgain : kIdle;
  }

  /// Does what the state asks of the window: ends if the first step failed, fills the clipboard,
  /// prints the error of a script.
  void follow(const view::Frame& frame) {
    const view::ViewState& view = *frame.view;
    const bool played = view.ready && !options_.script.empty();  // then the error is printed below
    if (!opened_ && !frame.animating && !played) require_opened(view);
    opened_ = opened_ || view.ready;
    if (view.clipboard_serial > clipboard_serial_) {
      clipboard_serial_ = view.clipboard_serial;
      ImGui::SetClipboardText(view.clipboard.c_str());
    }
    const std::string error = controller_.script_error();
    if (error != script_error_) {
      script_error_ = error;
      if (!error.empty()) fmt::print(stderr, "lastrow-viewer: {}\n", escaped(error));
    }
  }

  /// Writes the state on the screen into the --watch file, once its menus are in place.
  void write_watched_state() {
    if (options_.watch.empty() || shown_ == watched_ || !shown_) return;
    watched_ = shown_;
    write_text_atomically(options_.watch, view::to_json(*watched_));
  }

  void draw(const view::Frame& frame) {
    shown_ = frame.view;
    shown_progress_ = frame.progress;
    window_.set_zoom(lecture_zoom({window_.plain_width(), window_.plain_height()}, *frame.view));
    if (window_.begin_frame() || screen_.scale() != window_.scale()) {
      screen_.set_scale(window_.scale());
      window_.fonts_changed();
    }
    std::vector<view::UserCommand> commands;
    const double began = Window::now();
    screen_.draw(frame, {window_.width(), window_.height()}, window_.take_keys(), commands);
    const bool shown = window_.present(screen_.background());
    next_frame_ = began + (shown ? period() : period() / 4);
    for (const view::UserCommand& command : commands) carry_out(command, frame);
    if (input_waits()) next_frame_ = began;
    if (!commands.empty() || input_waits()) note_change();
  }

  void carry_out(const view::UserCommand& command, const view::Frame& frame) {
    if (const auto* for_controller = std::get_if<view::Command>(&command)) {
      controller_.send(*for_controller);
      return;
    }
    const auto& for_window = std::get<view::WindowCommand>(command);
    if (std::holds_alternative<view::Screenshot>(for_window))
      take_picture(frame);
    else if (std::holds_alternative<view::ToggleFullScreen>(for_window))
      window_.toggle_full_screen();
    else if (const auto* size = std::get_if<view::SetSize>(&for_window))
      window_.set_size(size->width, size->height);
  }

  void take_picture(const view::Frame& frame) {
    try {
      const std::string name = pictures_.free_name();
      // The size of the picture; the window keeps its own.
      pictures_.PictureWriter::resize(static_cast<int>(window_.width() * window_.scale()),
                                      static_cast<int>(window_.height() * window_.scale()));
      pictures_.shot(name, *frame.view);
      controller_.send(view::ShowNotice{fmt::format(
          "Picture written: {}", fs::absolute(pictures_.path_for(name)).lexically_normal().string())});
    } catch (const Error& e) {
      controller_.send(view::ShowNotice{e.what(), true});
    }
  }

  AppOptions options_;
  view::Controller controller_;
  Screen screen_;
  ImGuiContext* current_;  // must be current before the window starts its backends
  Window window_;
  WindowPictureWriter pictures_;
  std::shared_ptr<const view::ViewState> shown_, watched_;
  float shown_progress_ = -1;
  int frames_due_ = 3;
  double next_frame_ = 0;  // not before this time
  uint64_t clipboard_serial_ = 0;
  std::string script_error_;
  bool opened_ = false;  // the first step has been on the screen
};

}  // namespace

int run_in_window(const AppOptions& options) { return WindowApp(options).run(); }

}  // namespace lastrow::ui
