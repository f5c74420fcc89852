#include "lessons/exercises/checkers/checker.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>

#include "core/error.h"
#include "core/start_thread.h"

namespace lastrow::exercises {
namespace {

using lessons::Ink;
using lessons::Screen;
using lessons::terminal_with_color;

constexpr int kNotYet = 1, kError = 2;
#if defined(__SANITIZE_ADDRESS__)
constexpr int kCpuSeconds = 30;
#else
constexpr int kCpuSeconds = 3;  // for one case; a right answer takes a tenth of this time
#endif
constexpr int kWallSeconds = 60;  // for an answer that waits for something

/// What the process that runs the answer tells the process that waits for it.
struct Note {
  char case_at_hand[512] = {};
  bool says_done = false, says_wrong = false;
};

Note* shared_note() {
  void* memory = ::mmap(nullptr, sizeof(Note), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : new (memory) Note;
}

void limit_time() {
  const itimerval limit{{0, 0}, {kCpuSeconds, 0}};
  ::setitimer(ITIMER_PROF, &limit, nullptr);
  ::alarm(kWallSeconds);
}

/// What went wrong, judged by how the process ended.
Wrong wrong_by_end(int state) {
  if (!WIFSIGNALED(state))
    return {fmt::format("the program ended in the middle, with status {}", WEXITSTATUS(state)),
            "See above what it printed before."};
  switch (WTERMSIG(state)) {
    case SIGALRM:
      return {"it waited too long for something",
              "Look for a call that waits: for input, for a lock, or a sleep."};
    case SIGPROF:
      return {fmt::format("it did not end within {} s", kCpuSeconds),
              "Look for a loop whose condition never becomes false."};
    case SIGSEGV:
    case SIGBUS:
      return {"it crashed: something was read or written where there is no memory",
              "Print the indices in [ ] and compare them with the size of the array."};
    case SIGFPE:
      return {"it crashed: an integer was divided by 0", "Which divisor can be 0 in this case?"};
    case SIGABRT:
      return {"a check stopped it: see its message above",
              "The message names the file and the line of the check."};
    default:
      return {fmt::format("signal {} ended it", WTERMSIG(state)), "See above what it printed before."};
  }
}

void show(Screen& screen, const Exercise& exercise, std::string_view case_at_hand, const Wrong& wrong) {
  screen.check(false, fmt::format("{}{}{}", case_at_hand, case_at_hand.empty() ? "" : ": ", wrong.what));
  if (!wrong.rows.empty()) screen.table(wrong.head, wrong.rows);
  screen.say("Hint: " + wrong.hint);
  screen.say(screen.paint(Ink::bold, "Not yet.") +
             fmt::format(" Edit {}, then lessons/check {:02}.", exercise.file, exercise.number));
}

/// Runs in the answer's own process. Never returns.
[[noreturn]] void run_answer(const Exercise& exercise, void (*check)(Checker&), Screen& screen, Note& note) {
  Checker checker(screen, note.case_at_hand);
  for (const int crash : {SIGSEGV, SIGBUS, SIGFPE}) std::signal(crash, SIG_DFL);  // also with sanitizers
  try {
    limit_time();
    check(checker);
    checker.passed();
    screen.check(true, "Done.");
    screen.say(exercise.next);
    note.says_done = true;
  } catch (const Wrong& wrong) {
    show(screen, exercise, note.case_at_hand, wrong);
    note.says_wrong = true;
  } catch (const std::exception& error) {
    show(screen, exercise, note.case_at_hand,
         {fmt::format("it threw an exception: {}", error.what()), "The message says what was wrong."});
    note.says_wrong = true;
  }
  ::_exit(std::fflush(stdout) == 0 && std::ferror(stdout) == 0 ? 0 : kError);
}

int fail(const Exercise& exercise, const std::string& message) {
  std::fputs(fmt::format("check {:02}: {}\n", exercise.number, message).c_str(), stderr);
  return kError;
}

}  // namespace

void Checker::tries(const std::string& what) {
  passed();
  const size_t n = std::min(what.size(), case_at_hand_.size() - 1);
  std::memcpy(case_at_hand_.data(), what.data(), n);
  case_at_hand_[n] = '\0';
  limit_time();
}

void Checker::passed() {
  if (case_at_hand_[0] != '\0') screen_.check(true, case_at_hand_.data());
  case_at_hand_[0] = '\0';
}

int run_checker(int argc, char** argv, const Exercise& exercise, void (*check)(Checker&)) {
  bool one_line = false, color = terminal_with_color();
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--line")
      one_line = true;
    else if (option == "--no-color")
      color = false;
    else if (option == "--help" || option == "-h") {
      fmt::print("Checks {}: lessons/check {:02} [--no-color] [--line: one line, done or not yet]\n",
                 exercise.file, exercise.number);
      return std::fflush(stdout) == 0 ? 0 : kError;
    } else
      return fail(exercise, fmt::format("'{}' is not an option: use --line, --no-color or --help", option));
  }
  Note* note = shared_note();
  if (!note) return fail(exercise, "there is no memory for the process that runs the answer");

  Screen screen({stdout, color, one_line});
  screen.section(fmt::format("Exercise {}: {}", exercise.number, exercise.title));
  std::fflush(stdout);
  const pid_t pid = ::fork();
  if (pid < 0)
    return fail(exercise, fmt::format("the process that runs the answer cannot be started ({}): {}",
                                      std::strerror(errno), kMoreThreads));
  if (pid == 0) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);  // so that lines before a crash are not lost
    if (one_line && !std::freopen("/dev/null", "w", stderr)) ::_exit(kError);
    run_answer(exercise, check, screen, *note);
  }
  int state = 0;
  ::waitpid(pid, &state, 0);
  if (!note->says_done && !note->says_wrong) show(screen, exercise, note->case_at_hand, wrong_by_end(state));
  if (one_line) {
    const Screen list({stdout, color});
    fmt::print("  {:02}  {}  {}\n", exercise.number,
               note->says_done ? list.paint(Ink::good, "done   ") : list.paint(Ink::plain, "not yet"),
               exercise.title);
  }
  const bool lost_there =
      (note->says_done || note->says_wrong) && WIFEXITED(state) && WEXITSTATUS(state) == kError;
  if (lost_there || std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    return fail(exercise, "cannot write to standard output: send it elsewhere");
  return note->says_done ? 0 : kNotYet;
}

std::string shown(double x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x < 0 ? "−∞" : "∞";
  return fmt::format("{:.6g}", x);
}

}  // namespace lastrow::exercises
