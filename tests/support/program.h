// Runs a program as a person does, and reads what it wrote.
//
//   const Folder folder("lesson_01");                         a folder of its own, removed at the end
//   Outcome o = run(program, {"generate", "--prompt", ""});   exactly these arguments, without a shell
//   Outcome o = shell(folder, "lastrow info > info.txt");     a command line for the shell
//   o.exit_code   o.out   o.err
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern char** environ;

namespace lastrow::testing {

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// An empty folder that no other process or object has. It is removed with this object.
class Folder {
 public:
  explicit Folder(const std::string& name = "test") {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() /
            ("lastrow_" + name + "_" + std::to_string(::getpid()) + "_" + std::to_string(count++));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::string string() const { return path_.string(); }
  /// Names of the files in it, sorted, each followed by a space.
  std::string listing() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    std::string all;
    for (const std::string& name : names) all += name + " ";
    return all;
  }

 private:
  std::filesystem::path path_;
};

struct Outcome {
  int exit_code = -1;  // −1: a signal ended it, or it was never started
  std::string out, err;
};

inline int exit_code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }

/// Standard input is empty. If the program cannot be started, err says so.
inline Outcome run(const std::string& program, const std::vector<std::string>& arguments) {
  const Folder folder("run");
  const std::string out = folder.file("out"), err = folder.file("err");
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {-1, "", program + " cannot be started: build it first"};
  int status = 0;
  ::waitpid(pid, &status, 0);
  return {exit_code_of(status), read_text(out), read_text(err)};
}

/// Runs a shell command line. Its standard output and error go to files in `folder`.
inline Outcome shell(const Folder& folder, const std::string& command) {
  const std::string out = folder.file("stdout"), err = folder.file("stderr");
  const int status = std::system(("( " + command + " ) >" + out + " 2>" + err).c_str());
  return {exit_code_of(status), read_text(out), read_text(err)};
}

}  // namespace lastrow::testing
