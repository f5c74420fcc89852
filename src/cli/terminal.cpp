#include "cli/terminal.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.h"
#include "io/checked.h"

namespace lastrow::cli {
namespace {

void say(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

void print_json(const nlohmann::ordered_json& json) {
  print(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void note(std::string_view text) { say(fmt::format("lastrow: note: {}\n", escaped(text))); }

void print_error(std::string_view message) {
  std::string line(message);
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  say(fmt::format("lastrow: {}\n", escaped(line)));
}

Progress::Progress(std::string what) : terminal_(::isatty(STDERR_FILENO) == 1), what_(std::move(what)) {
  try {
    thread_ = std::thread([this] { show_until_stopped(); });
  } catch (const std::system_error&) {
    // The system starts no more threads. Then the work runs without showing its progress.
  }
}

Progress::~Progress() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Progress::at(int64_t done, int64_t total) {
  const std::lock_guard lock(mutex_);
  done_ = done;
  total_ = total;
}

void Progress::print(std::string_view text) {
  const std::lock_guard lock(mutex_);
  remove_line();
  lastrow::print(text);
}

/// Only with the mutex locked.
void Progress::remove_line() {
  if (shown_ && terminal_) say("\r\x1b[K");
  shown_ = false;
}

std::string Progress::line(double seconds) const {
  const std::string count = total_ > 0 ? fmt::format(", {} of {}", done_, total_) : "";
  return fmt::format("lastrow: {}{}, {:.0f} s", escaped(what_), count, seconds);
}

void Progress::show_until_stopped() {
  using namespace std::chrono_literals;
  const auto start = std::chrono::steady_clock::now();
  auto next = start + (terminal_ ? 300ms : 1000ms);
  std::unique_lock lock(mutex_);
  while (!stop_.wait_until(lock, next, [this] { return stopping_; })) {
    next += terminal_ ? 200ms : 5000ms;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    say(terminal_ ? "\r\x1b[K" + line(elapsed.count()) : line(elapsed.count()) + "\n");
    shown_ = true;
  }
  remove_line();
}

}  // namespace lastrow::cli
