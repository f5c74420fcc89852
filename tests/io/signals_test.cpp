// A signal that ends a program while it writes leaves no temporary file, and the program ends by that signal.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "io/atomic_file.h"
#include "io/program_start.h"
#include "io/standard_output.h"
#include "tests/io/files.h"

using namespace lastrow;
using namespace lastrow::test;

namespace {

/// Starts a process that does this and then waits, sends the signal, and returns how the process ended.
template <typename F>
int state_after(int signal, F&& child) {
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    for (int i = 1; i < NSIG; ++i) std::signal(i, SIG_DFL);  // removes the handlers of doctest
    ::alarm(20);                                             // this process ends in any case
    child();
    static_cast<void>(!::write(ready[1], "x", 1));
    ::close(ready[1]);
    while (true) ::pause();
  }
  ::close(ready[1]);
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  ::close(ready[0]);
  ::kill(pid, signal);
  int state = 0;
  ::waitpid(pid, &state, 0);
  return state;
}

}  // namespace

TEST_CASE("every signal that ends a program leaves no temporary file, and keeps the old file") {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGXCPU, SIGABRT}) {
    CAPTURE(std::string(::strsignal(signal)));
    TemporaryFolder folder;
    put(folder / "a", "old");
    const int state = state_after(signal, [&] {
      start_program("test");
      static std::optional<AtomicFile> a, b;
      a.emplace(folder / "a");
      b.emplace(folder / "b");
      a->write("half");
      b->write("half");
      b->finish();
    });
    CHECK(WIFSIGNALED(state));
    CHECK(WTERMSIG(state) == signal);
    CHECK(folder.n_entries() == 1);
    CHECK(get(folder / "a") == "old");
  }
}

TEST_CASE("temporary files of other threads are removed too, and entries of finished files are reused") {
  TemporaryFolder folder;
  const int state = state_after(SIGTERM, [&] {
    start_program("test");
    for (int i = 0; i < 3; ++i) write_text_atomically(folder / "done", "text");
    static std::optional<AtomicFile> files[8];
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i)
      threads.emplace_back([&, i] {
        files[i].emplace(folder / std::to_string(i));
        files[i]->write("half");
      });
  });
  CHECK(WTERMSIG(state) == SIGTERM);
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("a forked child does not remove the files of its parent") {
  TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.write("text");
  const int state = state_after(SIGTERM, [] { start_program("test"); });
  CHECK(WTERMSIG(state) == SIGTERM);
  file.commit();
  CHECK(get(folder / "a") == "text");
}

TEST_CASE("a signal that was ignored stays ignored") {
  const int state = state_after(SIGHUP, [] {
    std::signal(SIGHUP, SIG_IGN);
    start_program("test");
    ::alarm(1);  // the signal that ends it
  });
  CHECK(WTERMSIG(state) == SIGALRM);
}

TEST_CASE("a program that this one started ends with it") {
  TemporaryFolder folder;
  const int state = state_after(SIGTERM, [&] {
    start_program("outer");
    const pid_t inner = ::fork();
    if (inner == 0) {
      ::alarm(20);
      static std::optional<AtomicFile> file;
      file.emplace(folder / "a");
      put(folder / "started", "");
      while (true) ::pause();
    }
    static std::optional<EndsWithThisProgram> together;
    together.emplace(inner);
    while (!std::filesystem::exists(folder / "started")) ::usleep(1000);
  });
  CHECK(WTERMSIG(state) == SIGTERM);
  CHECK(folder.n_entries() == 1);
}

TEST_CASE("a file never takes the descriptor of a closed standard output") {
  TemporaryFolder folder;
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::close(STDOUT_FILENO);
    start_program("test");
    AtomicFile file(folder / "a");
    file.write("data");
    std::string message;
    try {
      print("text");
    } catch (const FileError& e) {
      message = e.what();
    }
    file.commit();
    ::_exit(message.find("standard output cannot be written (Bad file descriptor)") == 0 ? 0 : 1);
  }
  int state = 0;
  ::waitpid(pid, &state, 0);
  CHECK(WIFEXITED(state));
  CHECK(WEXITSTATUS(state) == 0);
  CHECK(get(folder / "a") == "data");
}
