// Tests whether a call aborts the program, as LASTROW_CHECK does.
//
//   CHECK(aborts([&] { cache.truncate(0, 3); }));     runs in a child process, so nothing changes here
//
// Only for calls that need no other thread: a child process has only the thread that forked.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace lastrow::testing {

template <typename Call>
bool aborts(const Call& call) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);  // without doctest's handler, which would report a failure
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    try {
      call();
    } catch (...) {  // an exception does not count as an abort
    }
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
         WTERMSIG(status) == SIGABRT;
}

}  // namespace lastrow::testing
