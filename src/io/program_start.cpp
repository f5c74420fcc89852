#include "io/program_start.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "io/temporary_name.h"

namespace lastrow {
namespace {

constexpr int kEnding[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGABRT};

const char* g_name = nullptr;
pid_t g_pid = 0;                  // of this program; a forked child must not end the started program
std::atomic<pid_t> g_started{0};  // the program that EndsWithThisProgram names; 0: none

/// Makes only calls that are allowed in a signal handler. Nothing runs afterwards, so it may change errno.
extern "C" void lastrow_end_cleanly(int signal) {
  const pid_t started = g_started.exchange(0);
  if (started > 0 && ::getpid() == g_pid) {
    ::kill(started, SIGTERM);
    while (::waitpid(started, nullptr, 0) < 0 && errno == EINTR) continue;
  }
  remove_temporaries();
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // blocked inside the handler, so it arrives when the handler returns
}

void keep_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF)  // the lowest free descriptor is fd itself
      static_cast<void>(::open("/", O_RDONLY | O_DIRECTORY));
}

/// A program that writes a thousand pictures has a file and a folder open for each of them.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

void start_program(const char* name) {
  g_name = name;
  g_pid = ::getpid();
  keep_standard_streams();
  allow_many_files();
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = lastrow_end_cleanly;
  ::sigfillset(&action.sa_mask);
  for (const int signal : kEnding) {
    struct sigaction before {};
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_DFL)
      ::sigaction(signal, &action, nullptr);
  }
}

void say_note(std::string_view text) {
  if (g_name == nullptr) return;
  const std::string line = fmt::format("{}: note: {}\n", g_name, text);
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
}

EndsWithThisProgram::EndsWithThisProgram(pid_t started) { g_started = started; }
EndsWithThisProgram::~EndsWithThisProgram() { g_started = 0; }

}  // namespace lastrow
