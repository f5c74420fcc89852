// The viewer in an X display of its own, and a user: real keys and clicks from xdotool.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "viewer_window/program.h"

namespace lastrow::ui {

/// A child process. It ends with this object.
class Child {
 public:
  Child(const std::vector<std::string>& words, const std::string& log, int inherited_fd = -1) {
    pid_ = fork();
    if (pid_ != 0) return;
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    if (inherited_fd >= 0) fcntl(inherited_fd, F_SETFD, 0);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  ~Child() {
    if (pid_ <= 0 || ended()) return;
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  bool ended() {
    if (!done_ && waitpid(pid_, &status_, WNOHANG) == pid_) done_ = true;
    return done_;
  }
  int exit_code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }
  /// Seconds that all its threads have computed so far.
  double cpu_seconds() const {
    std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
    std::string word;
    double ticks = 0;
    for (int field = 1; stat >> word && field <= 15; ++field)  // 14 and 15: in the program, in the kernel
      if (field >= 14) ticks += std::atof(word.c_str());
    return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  pid_t pid_ = -1;
  bool done_ = false;
  int status_ = 0;
};

inline bool installed(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

/// Waits until `holds` is true. Returns false after `seconds`, which is long even on a busy machine.
inline bool wait_until(const std::function<bool()>& holds, double seconds = 30) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

/// Xvfb on a free display number; DISPLAY is set for this process.
class Display {
 public:
  Display(const Folder& folder, int width, int height) {
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0) return;
    server_ = std::make_unique<Child>(
        std::vector<std::string>{"Xvfb", "-displayfd", std::to_string(fds[1]), "-screen", "0",
                                 std::to_string(width) + "x" + std::to_string(height) + "x24", "-nolisten",
                                 "tcp"},
        (folder / "xvfb.log").string(), fds[1]);
    close(fds[1]);
    std::string number;  // up to its newline: a server that cannot write all of it gives up
    for (char digit = 0; read(fds[0], &digit, 1) == 1 && digit != '\n';) number += digit;
    close(fds[0]);
    if (number.empty()) return;
    name_ = ":" + number;
    setenv("DISPLAY", name_.c_str(), 1);
    unsetenv("WAYLAND_DISPLAY");
  }
  bool works() const { return !name_.empty(); }

 private:
  std::unique_ptr<Child> server_;
  std::string name_;
};

/// The viewer in a window. It writes its state to a file after it has drawn it.
class ViewerWindow {
 public:
  ViewerWindow(const Folder& folder, std::vector<std::string> options = {}) : folder_(folder) {
    std::vector<std::string> words{kViewer,         "--watch",          watch(),     "--out",
                                   folder.string(), "--reduced-motion", "--seconds", "240"};
    words.insert(words.end(), options.begin(), options.end());
    const auto start = std::chrono::steady_clock::now();
    child_ = std::make_unique<Child>(words, log());
    wait_until([&] { return child_->ended() || !state().is_null(); });
    to_first_frame_ = std::chrono::steady_clock::now() - start;
    wait_until([&] { return child_->ended() || (opened_ = !find().empty()); });
    if (opened_) act("windowfocus --sync " + id_);
  }

  bool opened() const { return opened_; }
  std::string log() const { return (folder_ / "viewer.log").string(); }
  Child& process() { return *child_; }
  /// From the start of the process until the first step was on the screen (the state is written after that).
  double seconds_to_first_frame() const { return to_first_frame_.count(); }

  /// The last state that was written; null before the first one.
  nlohmann::json state() const {
    const std::string text = read_text(watch());
    if (text.empty()) return nullptr;
    nlohmann::json state = nlohmann::json::parse(text, nullptr, false);
    return state.is_discarded() || !state["ready"].get<bool>() ? nlohmann::json() : state;
  }
  /// Waits until wanted(state) is true.
  bool becomes(const std::function<bool(const nlohmann::json&)>& wanted, double seconds = 30) const {
    return wait_until(
        [&] {
          const nlohmann::json now = state();
          return !now.is_null() && wanted(now);
        },
        seconds);
  }

  void key(const std::string& keys) { act("key --clearmodifiers " + keys); }
  void type(const std::string& text) { act("type --delay 20 '" + text + "'"); }
  void point(float x, float y) {
    act("mousemove --window " + id_ + " " + std::to_string(static_cast<int>(x)) + " " +
        std::to_string(static_cast<int>(y)));
    std::this_thread::sleep_for(
        std::chrono::milliseconds(150));  // a frame sees the mouse there before a click
  }
  /// Moves the mouse sixty times a second, down the diagonal from one place to another and back.
  void sweep(float x0, float y0, float x1, float y1, double seconds) {
    std::string moves;
    const int n = static_cast<int>(seconds * 60);
    for (int i = 0; i < n; ++i) {
      const float at = std::abs(static_cast<float>(i % 60) / 30 - 1);
      moves += " mousemove --window " + id_ + " " + std::to_string(static_cast<int>(x0 + (x1 - x0) * at)) +
               " " + std::to_string(static_cast<int>(y0 + (y1 - y0) * at)) + " sleep 0.0166";
    }
    act(moves);
  }
  void click(float x, float y, int button = 1) {
    point(x, y);
    act("click " + std::to_string(button));
  }
  void drag(float x, float y, float to_x, float to_y) {
    point(x, y);
    act("mousedown 1");
    point((x + to_x) / 2, (y + to_y) / 2);
    point(to_x, to_y);
    act("mouseup 1");
  }
  /// The window's size on the display.
  std::pair<int, int> size() const {
    const Outcome found = shell(folder_, "xdotool getwindowgeometry --shell " + id_);
    const auto number = [&](const char* name) {
      const size_t at = found.out.find(name);
      return at == std::string::npos ? 0 : std::atoi(found.out.c_str() + at + std::strlen(name));
    };
    return {number("WIDTH="), number("HEIGHT=")};
  }

 private:
  std::string watch() const { return (folder_ / "state.json").string(); }
  std::string find() {
    const Outcome found = shell(folder_, "xdotool search --name '^lastrow$'");
    id_ = found.out.substr(0, found.out.find('\n'));
    return id_;
  }
  void act(const std::string& words) {
    if (std::system(("xdotool " + words).c_str()) != 0)
      std::fprintf(stderr, "xdotool %s failed\n", words.c_str());
  }

  const Folder& folder_;
  std::unique_ptr<Child> child_;
  bool opened_ = false;
  std::chrono::duration<double> to_first_frame_{};
  std::string id_;
};

}  // namespace lastrow::ui
