#include "gpu/driver/try_kernel/try.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/function_ref.h"
#include "gpu/driver/check_command.h"
#include "gpu/driver/device.h"
#include "gpu/driver/output.h"
#include "gpu/driver/try_kernel/compare.h"
#include "gpu/driver/try_kernel/library.h"
#include "gpu/driver/try_kernel/temporary_file.h"
#include "gpu/driver/watchdog.h"
#include "io/checked.h"
#include "io/program_start.h"

namespace lastrow::driver {
namespace {

constexpr int kHeld = 0, kFailed = 1, kUsage = 2, kCut = 4;

/// Runs work in a process of its own, and returns how that ended: an exit status, or −signal.
int in_child(FunctionRef<int()> work) {
  const pid_t pid = ::fork();
  if (pid < 0) throw UsageError("no process can be started ({}): end other programs", std::strerror(errno));
  if (pid == 0) {
    int status = kUsage;
    try {
      status = work();
    } catch (const std::exception& e) {
      say(fmt::format("lastrow-kernels: {}\n", escaped(e.what())));
    }
    ::_exit(status);  // all output is written; what the parent prepared is the parent's to end
  }
  const EndsWithThisProgram together(pid);
  int state = 0;
  while (::waitpid(pid, &state, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(state) ? WEXITSTATUS(state) : -WTERMSIG(state);
}

/// Checks the rung and, if it held, prints what it counts.
int check_and_count(const Options& o, const OwnRung& own) {
  const auto runner = make_runner("emulated", own);
  const CheckedRungs checked = check_rungs(o, "emulated", *runner, {own.name}, own);
  if (!checked.held) return kFailed;
  if (checked.is_cut) return kCut;
  print(compare_counts(*runner, own.name));
  return kHeld;
}

/// Where a process that ended was running the rung: " at f32, heads 8:2, …"; empty if it was not in the check.
std::string place_of_end(const std::string& journal, const std::string& rung) {
  try {
    const std::string where = CheckJournal(journal).ended_by(rung);
    return where.empty() ? "" : " at " + where;
  } catch (const FileError&) {  // it ended before it wrote a whole line
    return "";
  }
}

int try_emulated(const Options& o, const OwnSource& source, OwnRung& own) {
  add_rung(source, "emulated", own);
  const TemporaryFile journal;
  Options watched = o;
  watched.journal = journal.path();
  const int status = in_child([&] { return check_and_count(watched, own); });
  if (status >= 0 && status != kExitDeviceLost) return status;
  const std::string why =
      status == kExitDeviceLost
          ? fmt::format("it did not end within {:g} s (--patience): does every loop end?", o.patience)
          : fmt::format(
                "it ended its process ({}): does it use memory that is in no view, such as an array of "
                "its own, beyond its end?",
                ::strsignal(-status));
  print(fmt::format("{}  FAILED{}: {}\n", own.name, place_of_end(journal.path(), own.name), why));
  return kFailed;
}

int try_cuda(const Options& o, const OwnSource& source, OwnRung& own) {
  try {
    add_rung(source, "cuda", own);
  } catch (const NoCompiler& e) {
    say(fmt::format("lastrow-kernels: note: {} was not run on the GPU: {}\n", source.name, e.what()));
    return kHeld;
  }
  const auto runner = make_runner("cuda", own);
  print(fmt::format("\nOn {}:\n", runner->device().device));
  const CheckedRungs checked = check_rungs(o, "cuda", *runner, {own.name}, own);
  if (checked.lost) return kExitDeviceLost;
  if (!checked.held) return kFailed;
  if (checked.is_cut) return kCut;
  print(compare_times(*runner, own.name, o.patience));
  return kHeld;
}

}  // namespace

int try_kernel(const Options& o, const std::string& target) {
  const OwnSource source = read_own_source(o.own);
  OwnRung own{.name = source.name};
  if (o.target != "cuda") {
    const int status = try_emulated(o, source, own);
    if (status != kHeld) return status;
  }
  if (target == "cuda") return try_cuda(o, source, own);
  if (o.target.empty()) say(fmt::format("no usable GPU ({}): {} was not timed\n", why_no_gpu(), source.name));
  return kHeld;
}

}  // namespace lastrow::driver
