#include "cli/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <regex>

extern char** environ;

namespace program {
namespace fs = std::filesystem;

Folder::Folder() {
  static std::atomic<int> count{0};
  path_ = fs::temp_directory_path() /
          ("lastrow-cli-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
  fs::create_directories(path_);
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Folder::listing() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path_)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  std::string all;
  for (const std::string& name : names) all += name + " ";
  return all;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_content(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

Outcome lastrow_program(const std::vector<std::string>& arguments) {
  const Folder folder;
  const std::string program = LASTROW_BIN_DIR "/lastrow", out = folder.file("out"), err = folder.file("err");
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid = 0;
  const int spawned = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  REQUIRE_MESSAGE(spawned == 0, program, " cannot be started: build lastrow_cli first");
  int state = 0;
  ::waitpid(pid, &state, 0);
  return {WIFEXITED(state) ? WEXITSTATUS(state) : -1, content_of(out), content_of(err)};
}

void check_refused(const std::vector<std::string>& arguments, const std::string& expected) {
  const Outcome o = lastrow_program(arguments);
  std::string shown;
  for (const std::string& argument : arguments) shown += " " + argument;
  CAPTURE(shown);
  CAPTURE(o.err);
  CHECK(o.status == 2);
  CHECK(o.out.empty());
  static const std::regex progress("lastrow: .*, \\d+ s\\n");
  const std::string error = std::regex_replace(o.err, progress, "");
  CHECK(error.starts_with("lastrow: "));
  CHECK(std::count(error.begin(), error.end(), '\n') == 1);
  CHECK(error.ends_with('\n'));
  CHECK(error.find(expected) != std::string::npos);
}

}  // namespace program
