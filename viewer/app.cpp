#include "viewer/app.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/output_files.h"
#include "io/standard_output.h"
#include "model/model.h"
#include "viewer/panels/screen.h"
#include "viewer/platform/window.h"
#include "viewer/view_model/script.h"

namespace lastrow::ui {
namespace {

namespace fs = std::filesystem;

constexpr int kExpectFailed = 1;
constexpr int kLeastWidth = 640, kLeastHeight = 480, kMostSide = 16384;

std::string row_picture(const std::string& prefix, int row) {
  return fmt::format("{}-{:02}.png", prefix, row);
}

/// No file that the script or the options write is one that they read, or is written twice. `row_prefix` is that
/// of a picture a sentence; "" for none.
void require_different_files(const AppOptions& options, const view::Script& script,
                             const std::string& row_prefix) {
  const fs::path out = options.out;
  std::vector<NamedFile> inputs = {{"--script", options.script},
                                   {"--model", model_file(options.controller.model)}},
                         outputs = {{"--watch", options.watch}};
  for (const view::ScriptLine& line : script.lines) {
    const std::string name = fmt::format("{}:{}: {}", script.name, line.number, line.text);
    if (const auto* shot = std::get_if<view::WriteShot>(&line.action))
      outputs.push_back({name, out / shot->name});
    else if (const auto* state = std::get_if<view::WriteState>(&line.action))
      outputs.push_back({name, out / state->name});
    else if (const auto* command = std::get_if<view::DoCommand>(&line.action))
      if (const auto* model = std::get_if<view::SetModel>(&command->command))
        inputs.push_back({name, model_file(model->name)});
  }
  if (!row_prefix.empty())
    for (int row = 1; row <= script.n_rows; ++row)
      outputs.push_back({fmt::format("the picture of sentence {}", row), out / row_picture(row_prefix, row)});
  lastrow::require_different_files(inputs, outputs);
}

/// Pictures of states, and where they go. Draws apart from the window, so that mouse and menus stay as they
/// are.
class Studio : public view::ScriptHost {
 public:
  Studio(std::string out, int width, int height) : out_(std::move(out)) { Studio::resize(width, height); }

  void shot(const std::string& name, const view::ViewState& view) override {
    screen().set_scale(scale_for(width_, height_, 1));
    const auto copy = std::make_shared<const view::ViewState>(view);
    write(path_of(name), png_of(screen_->picture_of(copy, width_, height_)));
    ++pictures_;
  }
  void write_state(const std::string& name, const std::string& json) override { write(path_of(name), json); }
  void resize(int width, int height) override {
    if (width < kLeastWidth || height < kLeastHeight || width > kMostSide || height > kMostSide)
      throw UsageError("size {}×{}: choose from {}×{} to {}×{}", width, height, kLeastWidth, kLeastHeight,
                       kMostSide, kMostSide);
    width_ = width;
    height_ = height;
  }
  void scroll(const view::ScrollTokens& by) override { screen().scroll(by); }
  void row_shown(int row, const view::ViewState& view) override {
    if (!row_prefix_.empty()) shot(row_picture(row_prefix_, row), view);
  }

  /// From now on files are written, but appear under their names together, at commit().
  void hold() { holds_ = true; }
  void write(const std::string& path, std::string_view bytes) {
    auto file = std::make_unique<AtomicFile>(path);
    file->write(bytes);
    if (!holds_) return file->commit();
    file->finish();
    held_.push_back(std::move(file));
  }
  void commit() {
    std::vector<AtomicFile*> files;
    for (const auto& file : held_) files.push_back(file.get());
    commit_all(files);
    held_.clear();
  }

  void picture_each_row(std::string prefix) { row_prefix_ = std::move(prefix); }
  int pictures() const { return pictures_; }
  /// The first name of this kind that is not taken.
  std::string free_name() const {
    for (int i = 1;; ++i) {
      std::string name = fmt::format("lastrow-{}.png", i);
      if (!fs::exists(path_of(name))) return name;
    }
  }
  std::string path_of(const std::string& name) const {
    const fs::path path = fs::path(out_) / name;
    std::error_code error;
    if (path.has_parent_path()) fs::create_directories(path.parent_path(), error);
    if (error)
      throw FileError("{}: cannot be made ({}): choose another folder with --out", out_, error.message());
    return path.string();
  }

 private:
  Screen& screen() {
    if (!screen_) screen_ = std::make_unique<Screen>(scale_for(width_, height_, 1));
    return *screen_;
  }

  bool holds_ = false;
  std::vector<std::unique_ptr<AtomicFile>> held_;
  std::string out_, row_prefix_;
  int width_ = 0, height_ = 0, pictures_ = 0;
  std::unique_ptr<Screen> screen_;
};

/// In a window the script's sizes and scrolling are the window's, too.
class WindowStudio final : public Studio {
 public:
  WindowStudio(Window& window, Screen& in_window, std::string out, int width, int height)
      : Studio(std::move(out), width, height), window_(window), in_window_(in_window) {}
  void resize(int width, int height) override {
    Studio::resize(width, height);
    window_.set_size(width, height);
  }
  void scroll(const view::ScrollTokens& by) override {
    Studio::scroll(by);
    in_window_.scroll(by);
  }

 private:
  Window& window_;
  Screen& in_window_;
};

/// The first state is to be that of the step that was asked for.
void require_opened(const view::ViewState& first) {
  if (first.notice && first.notice->kind == view::NoticeKind::error)
    throw UsageError("{}", first.notice->text);
}

int run_headless(const AppOptions& options) {
  Studio studio(options.out, options.width, options.height);
  const view::Script script =
      options.script.empty() ? view::tour_script() : view::load_script(options.script);
  const bool asks = std::any_of(script.lines.begin(), script.lines.end(), [](const view::ScriptLine& line) {
    return std::holds_alternative<view::WriteShot>(line.action) ||
           std::holds_alternative<view::WriteState>(line.action);
  });
  if (!asks && script.n_rows == 0)
    throw UsageError("{}: writes nothing: add a line such as `shot NAME.png`, or `say` sentences",
                     options.script);
  const std::string row_prefix = asks                     ? ""
                                 : options.script.empty() ? "tour"
                                                          : fs::path(options.script).stem().string();
  require_different_files(options, script, row_prefix);
  if (!options.watch.empty()) AtomicFile{options.watch};
  studio.picture_each_row(row_prefix);
  studio.hold();
  view::Controller controller(options.controller);
  const auto first = controller.settle();
  require_opened(*first);
  if (!first->ready) throw UsageError("nothing could be run");
  std::string error;
  const int code = view::run_script(controller, script, studio, error);
  if (code != 0 && code != kExpectFailed) throw UsageError("{}", error);
  if (!options.watch.empty()) studio.write(options.watch, view::to_json(*controller.settle()));
  if (code != 0) fmt::print(stderr, "lastrow-viewer: {}\n", escaped(error));
  if (studio.pictures() > 0)
    print(fmt::format("{} picture{} in {}\n", studio.pictures(), studio.pictures() == 1 ? "" : "s",
                      fs::absolute(options.out).lexically_normal().string()));
  studio.commit();
  return code;
}

/// The window with all that stays while it is open.
class WindowApp {
 public:
  explicit WindowApp(const AppOptions& options)
      : options_(options),
        controller_(options.controller),
        screen_(1),
        current_((ImGui::SetCurrentContext(screen_.context()), screen_.context())),
        window_("lastrow", options.width, options.height),
        studio_(window_, screen_, options.out, options.width, options.height) {
    const view::Script script = options.script.empty() ? view::Script() : view::load_script(options.script);
    require_different_files(options, script, "");
    if (!options.script.empty()) controller_.play(script, &studio_);
  }

  int run() {
    const double start = Window::now();
    while (!window_.should_close()) {
      if (options_.seconds > 0 && Window::now() - start > options_.seconds) break;
      const view::Frame frame = controller_.frame(Window::now());
      follow(frame);
      const bool changed = frame.view != shown_ || frame.progress != shown_progress_;
      if (changed) frames_due_ = kFramesAfterChange;
      if (frames_due_ > 0) draw(frame);
      if (frames_due_ > 0) --frames_due_;
      if (frames_due_ == 0 || frame.progress < 1) tell();
      if (window_.wait(pause_after(frame))) frames_due_ = kFramesAfterChange;
    }
    tell();
    return controller_.script_exit_code();
  }

 private:
  static constexpr int kFramesAfterChange = 3;  // menus settle within three
  static constexpr double kFrame = 1.0 / 60, kLookAgain = 1.0 / 30, kIdle = 0.5;

  double pause_after(const view::Frame& frame) const {
    if (frames_due_ > 0) return frame.progress < 1 ? 0 : kFrame / 4;
    if (frame.progress < 1) return kFrame / 2;
    return frame.animating ? kLookAgain : kIdle;
  }

  /// What the state asks of the window: the first step failed, text for the clipboard, a script that failed.
  void follow(const view::Frame& frame) {
    const view::ViewState& view = *frame.view;
    const bool played = view.ready && !options_.script.empty();  // its errors are told below
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

  /// Writes the state that is on the screen, with menus where they belong.
  void tell() {
    if (options_.watch.empty() || shown_ == told_ || !shown_) return;
    told_ = shown_;
    write_text_atomically(options_.watch, view::to_json(*told_));
  }

  void draw(const view::Frame& frame) {
    shown_ = frame.view;
    shown_progress_ = frame.progress;
    if (window_.begin_frame() || screen_.scale() != window_.scale()) {
      screen_.set_scale(window_.scale());
      window_.fonts_changed();
    }
    std::vector<view::Command> commands;
    screen_.draw(frame, {window_.width(), window_.height()}, window_.take_keys(), commands);
    window_.present(screen_.background());
    for (const view::Command& command : commands) carry_out(command, frame);
    if (!commands.empty()) frames_due_ = kFramesAfterChange;
  }

  void carry_out(const view::Command& command, const view::Frame& frame) {
    if (const auto* screenshot = std::get_if<view::Screenshot>(&command)) {
      take_picture(screenshot->file, frame);
    } else if (const auto* size = std::get_if<view::SetSize>(&command)) {
      window_.set_size(size->width, size->height);
    } else if (std::holds_alternative<view::ToggleFullScreen>(command)) {
      window_.toggle_full_screen();
    } else if (std::holds_alternative<view::Quit>(command)) {
      window_.close();
    } else {
      controller_.send(command);
    }
  }

  void take_picture(const std::string& file, const view::Frame& frame) {
    const std::string name = file.empty() ? studio_.free_name() : file;
    try {
      studio_.Studio::resize(static_cast<int>(window_.width() * window_.scale()),
                             static_cast<int>(window_.height() * window_.scale()));
      studio_.shot(name, *frame.view);
      screen_.say({fmt::format("Picture written: {}",
                               fs::absolute(studio_.path_of(name)).lexically_normal().string()),
                   view::NoticeKind::info});
    } catch (const Error& e) {
      screen_.say({e.what(), view::NoticeKind::error});
    }
  }

  AppOptions options_;
  view::Controller controller_;
  Screen screen_;
  ImGuiContext* current_;  // made current before the window's backends start
  Window window_;
  WindowStudio studio_;
  std::shared_ptr<const view::ViewState> shown_, told_;
  float shown_progress_ = -1;
  int frames_due_ = kFramesAfterChange;
  uint64_t clipboard_serial_ = 0;
  std::string script_error_;
  bool opened_ = false;  // has the first step been shown?
};

}  // namespace

int run(const AppOptions& options) {
  if (options.headless) return run_headless(options);
  return WindowApp(options).run();
}

}  // namespace lastrow::ui
