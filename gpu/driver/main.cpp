// `lastrow-kernels`: checks and times the ladder (gpu/ladder), on a GPU or under the emulator.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <ctime>

#include "core/error.h"
#include "core/number.h"
#include "core/start_thread.h"
#include "gpu/driver/check_command.h"
#include "gpu/driver/device.h"
#include "gpu/driver/output.h"
#include "gpu/driver/results.h"
#include "gpu/driver/table.h"
#include "gpu/driver/time_all.h"
#include "gpu/driver/try_kernel/try.h"
#include "gpu/driver/watchdog.h"
#include "io/atomic_file.h"
#include "io/checked.h"
#include "io/output_files.h"
#include "io/program_start.h"

namespace lastrow::driver {
namespace {

constexpr int kExitFailed = 1, kExitUsage = 2, kExitCut = 4, kExitSkipped = 77;  // 3: watchdog.h

void note(const std::string& text) { say(text + "\n"); }

// ---- which device, which rungs

std::string chosen_target(const Options& o) {
  const std::string why = why_no_gpu();
  if (o.target == "cuda" && !why.empty()) throw UsageError("--target cuda cannot be used: {}", why);
  const std::string target = !o.target.empty() ? o.target : why.empty() ? "cuda" : "emulated";
  if ((o.time || o.roofs) && target != "cuda")
    throw UsageError("the emulator has no speed to measure: {} needs --target cuda and an NVIDIA GPU{}",
                     o.time ? "--time" : "--roofs", why.empty() ? "" : " (here: " + why + ")");
  return target;
}

/// In the order of --kernel.
std::vector<std::string> chosen_rungs(const Options& o, const Runner& runner) {
  std::vector<std::string> all, chosen;
  for (const RungInfo& r : runner.rungs()) all.push_back(r.name);
  for (const std::string& name : o.kernels) {
    if (name == "all") {
      chosen.insert(chosen.end(), all.begin(), all.end());
    } else if (std::find(all.begin(), all.end(), name) != all.end()) {
      chosen.push_back(name);
    } else {
      throw UsageError("unknown kernel '{}': use all, or some of {}", name, fmt::join(all, ", "));
    }
  }
  return chosen;
}

// ---- --list, --roofs

/// Prints the rungs, their ideas, and the stored types that they take.
void list(const Runner& runner) {
  std::vector<std::string> names, ideas;
  for (const RungInfo& r : runner.rungs()) names.push_back(r.name), ideas.push_back(r.idea);
  for (const RungInfo& r : runner.rungs()) {
    std::string types;
    for (const DType type :
         {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8, DType::i4x2, DType::fp4x2})
      if (runner.why_not(r.name, {.head_dim = 64, .kv_dtype = type}).empty())
        types += fmt::format("{}{}", types.empty() ? "" : " ", name_of(type));
    print(fmt::format("{:<{}}  {:<{}}  K/V {}\n", r.name, width_of(names), r.idea, width_of(ideas), types));
  }
}

/// Returns whether the device can go on.
bool print_roofs(const Options& o, Runner& runner) {
  Watchdog watchdog(o.patience);
  const auto watch = watchdog.watch("the read and copy bandwidth");
  Bandwidth bandwidth;
  try {
    bandwidth = runner.bandwidth();
  } catch (const Error& e) {
    if (runner.lost().empty()) throw;
    note(fmt::format("lastrow-kernels: {}; the device no longer answers", e.what()));
    return false;
  }
  print(fmt::format("{}: read {:.0f} GB/s, copy {:.0f} GB/s\n", runner.device().device, bandwidth.read,
                    bandwidth.copy));
  return true;
}

// ---- --time

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

ShapeSet shape_set(const std::string& name) {
  return name == "full" ? ShapeSet::full : name == "few" ? ShapeSet::few : ShapeSet::table;
}

TimeEnd time_rungs(const Options& o, Runner& runner, const std::vector<std::string>& rungs,
                   const CheckReport& checked) {
  const TimeJob job{.shapes = chosen_shapes(shape_set(o.shapes), o.only),
                    .rungs = rungs,
                    .checked = checked,
                    .seconds = o.seconds,
                    .patience = o.patience,
                    .json = o.json,
                    .go_on = o.go_on,
                    .retry = o.retry,
                    .date = today(),
                    .say = note};
  TimeEnd end = time_all(job, runner);
  if (!o.table.empty()) rewrite_table(o.table, table(end.results));
  if (o.json.empty() && o.table.empty()) print(table(end.results));
  return end;
}

// ---- main

/// --template and --try do nothing else.
void validate_own(const Options& o) {
  const bool other = o.list || o.roofs || o.check || o.time || !o.from.empty() || !o.report.empty();
  if (o.show_template && (other || !o.own.empty()))
    throw UsageError("--template prints a kernel file and does nothing else: use it alone");
  if (other)
    throw UsageError(
        "--try checks, counts and times one file: drop --list, --roofs, --check, --time, --from and "
        "--report");
  if (!o.json.empty() || !o.table.empty() || !o.only.empty() || o.go_on || o.retry)
    throw UsageError("--try prints its times: drop --json, --table, --only, --continue and --retry");
  if (o.kernels != Options{}.kernels) throw UsageError("--try runs its own kernel: drop --kernel");
  if (!o.journal.empty()) throw UsageError("--try checks the file anew each time: drop --journal");
  if (!std::isfinite(o.patience)) throw UsageError("--patience takes a finite number of seconds");
}

void validate(const Options& o) {
  if (!o.list && !o.roofs && !o.check && !o.time && o.from.empty() && o.report.empty())
    throw UsageError(
        "nothing to do: use --list, --roofs, --check, --time, --try FILE, --from FILE or --report FILE (see "
        "--help)");
  if (!o.report.empty() && (o.list || o.roofs || o.check || o.time || !o.from.empty()))
    throw UsageError("--report prints a journal and does nothing else: use it alone");
  if (!o.table.empty() && !o.time && o.from.empty())
    throw UsageError("--table needs times: add --time, or --from FILE of an earlier run");
  if (!o.json.empty() && !o.time) throw UsageError("--json needs --time");
  if (!o.only.empty() && !o.time) throw UsageError("--only needs --time");
  if (!o.from.empty() && (o.time || o.check)) throw UsageError("--from reads times: drop --time and --check");
  if (!o.from.empty() && (o.list || o.roofs)) throw UsageError("--from reads times: drop --list and --roofs");
  if (o.go_on && o.json.empty()) throw UsageError("--continue needs a file to continue: add --json FILE");
  if (o.seconds > 0 && !o.time && !o.check) throw UsageError("--seconds needs --check or --time");
  if (!o.journal.empty() && !o.time && !o.check) throw UsageError("--journal needs --check or --time");
  if (o.retry && !o.go_on) throw UsageError("--retry needs --continue");
  if (!std::isfinite(o.seconds) || !std::isfinite(o.patience))
    throw UsageError("--seconds and --patience take a finite number of seconds");
  if (o.every > 1 && !o.check) throw UsageError("--every needs --check");
  require_different_files({{"--from", o.from}},
                          {{"--json", o.json}, {"--table", o.table}, {"--journal", o.journal}});
  if (!o.table.empty()) {
    require_markers(o.table);
    AtomicFile{o.table};  // throws before the work if the page cannot be rewritten
  }
  if (!o.json.empty()) require_results_file(o.json, o.go_on);
  if (o.time) chosen_shapes(shape_set(o.shapes), o.only);
}

/// Times are marked with the result of a check: that of --check, of a journal, or of the quick set.
CheckedRungs checked(const Options& o, const std::string& target, const Runner& runner,
                     const std::vector<std::string>& rungs) {
  if (o.check) return check_rungs(o, target, runner, rungs);
  if (!o.journal.empty()) return {.report = make_report(CheckJournal(o.journal)), .held = true};
  Options quick = o;
  quick.set = "quick";
  return check_rungs(quick, target, runner, rungs);
}

int run_own(const Options& o) {
  validate_own(o);
  if (!o.show_template) return try_kernel(o, chosen_target(o));
  print(template_text());
  return 0;
}

int run(const Options& o) {
  if (o.show_template || !o.own.empty()) return run_own(o);
  validate(o);
  if (!o.from.empty()) {
    const std::string text = table(read_results(o.from));
    o.table.empty() ? print(text) : rewrite_table(o.table, text);
    return 0;
  }
  if (!o.report.empty()) {
    print_journal(o.report);
    return 0;
  }
  if (o.skip_without_gpu && !why_no_gpu().empty()) {
    print(fmt::format("skipped: no usable GPU: {}\n", why_no_gpu()));
    return kExitSkipped;
  }
  const std::string target = chosen_target(o);
  const auto runner = make_runner(target);
  const std::vector<std::string> rungs = chosen_rungs(o, *runner);
  if (o.target.empty() && target == "emulated")
    note(fmt::format("no usable GPU ({}): running under the emulator", why_no_gpu()));
  if (o.list) list(*runner);
  if (o.roofs && !print_roofs(o, *runner)) return kExitDeviceLost;
  if (!o.check && !o.time) return 0;

  const CheckedRungs check = checked(o, target, *runner, rungs);
  if (check.lost) return kExitDeviceLost;
  const TimeEnd times = o.time ? time_rungs(o, *runner, rungs, check.report) : TimeEnd{};
  if (times.lost) return kExitDeviceLost;
  if (!check.held || times.failed) return kExitFailed;
  return check.is_cut || times.n_left > 0 ? kExitCut : 0;
}

int print_help(const std::string& text) {
  try {
    print(text);
    return 0;
  } catch (const FileError& e) {
    note(fmt::format("lastrow-kernels: {}", e.what()));
    return kExitUsage;
  }
}

}  // namespace
}  // namespace lastrow::driver

int main(int argc, char** argv) {
  using lastrow::driver::kExitUsage;
  lastrow::start_program("lastrow-kernels");
  lastrow::driver::Options o;
  CLI::App app{"Checks and times the attention kernels of the ladder."};
  lastrow::driver::add_options(app, o);
  lastrow::read_options_in_decimal(app);
  const auto fail = [](std::string_view message) {
    lastrow::driver::say(fmt::format("lastrow-kernels: {}\n", lastrow::escaped(message)));
    return kExitUsage;
  };
  try {
    app.parse(argc, argv);
    return lastrow::driver::run(o);
  } catch (const CLI::CallForHelp&) {
    return lastrow::driver::print_help(app.help());
  } catch (const CLI::ParseError& e) {
    return fail(fmt::format("{}; see `lastrow-kernels --help`", e.what()));
  } catch (const std::bad_alloc&) {
    return fail("not enough memory: use fewer --threads");
  } catch (const std::system_error& e) {
    return fail(fmt::format("a thread cannot be started ({}): use fewer --threads, {}", e.code().message(),
                            lastrow::kMoreThreads));
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
