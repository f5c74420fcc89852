// Whether a call stops the program, as LASTROW_CHECK does where the mistake is ours.
//
//   CHECK(aborts([&] { cache.truncate(0, 3); }));     in a child process: nothing here changes
//
// Only for calls that need no other thread of this process: a child has the one that forked.
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
    std::signal(SIGABRT, SIG_DFL);  // not doctest's, which would report a failure
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    try {
      call();
    } catch (...) {  // an exception is not what was asked for
    }
    _exit(0);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
         WTERMSIG(status) == SIGABRT;
}

}  // namespace lastrow::testing
