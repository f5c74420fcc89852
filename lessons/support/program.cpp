#include "lessons/support/program.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>

#include "core/error.h"
#include "core/start_thread.h"
#include "io/program_start.h"

extern char** environ;

namespace lastrow::lessons {
namespace {

constexpr int kSecondsToEnd = 2;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

File temporary_file() {
  File file(std::tmpfile());
  if (!file) throw FileError("cannot make a temporary file ({}): check TMPDIR", std::strerror(errno));
  return file;
}

std::string content_of(const File& file) {
  std::string text;
  std::rewind(file.get());
  char buffer[4096];
  for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) text.append(buffer, n);
  return text;
}

bool ends_within(int seconds, pid_t pid, int& state) {
  const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (::waitpid(pid, &state, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > last) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace

ProgramRun run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                       int seconds) {
  const std::string path = program.string();
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const File out = temporary_file(), err = temporary_file();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ::fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ::fileno(err.get()), STDERR_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    throw FileError("{} cannot be started ({}): {}", path, std::strerror(error),
                    error == EAGAIN ? kMoreThreads : "build it first");
  const EndsWithThisProgram together(pid);
  int state = 0;
  if (!ends_within(seconds, pid, state)) {
    ::kill(pid, SIGTERM);  // first ask it to end, so that it removes the file it is writing
    if (!ends_within(kSecondsToEnd, pid, state)) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &state, 0);
    }
    return {-1, content_of(out), fmt::format("it did not end within {} s", seconds)};
  }
  return {WIFEXITED(state) ? WEXITSTATUS(state) : -1, content_of(out), content_of(err)};
}

std::filesystem::path folder_of_this_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

}  // namespace lastrow::lessons
