// `lastrow-kernels`: checks and times the ladder of gpu/kernels, on a GPU or under the emulator.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <ctime>
#include <thread>

#include "core/error.h"
#include "gpu/driver/check.h"
#include "gpu/driver/output.h"
#include "gpu/driver/results.h"
#include "gpu/driver/time_all.h"
#include "io/json.h"
#if LASTROW_WITH_CUDA
#include "gpu/cuda_backend.h"
#endif

namespace lastrow::driver {
namespace {

constexpr int kExitFailed = 1, kExitUsage = 2, kExitSkipped = 77;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string target, kernel = "all", set = "quick", shapes = "quick", json, from, table;
  bool list = false, check = false, time = false, skip_without_gpu = false, go_on = false;
  int32_t n_threads = 0;
  int64_t every = 1;   // problem of a set
  double seconds = 0;  // after which nothing more is timed; 0: no limit
};

void note(const std::string& text) { say(text + "\n"); }

// ---- which device

std::string why_no_gpu() {
#if LASTROW_WITH_CUDA
  return why_no_cuda();
#else
  return "this build has no CUDA: no toolkit was found";
#endif
}

std::unique_ptr<Runner> make_runner(const std::string& target) {
#if LASTROW_WITH_CUDA
  if (target == "cuda") return cuda::make_runner();
#endif
  LASTROW_CHECK(target == "emulated", "target {}", target);
  return emulated::make_runner();
}

std::string chosen_target(const Options& o) {
  const std::string why = why_no_gpu();
  if (o.target == "cuda" && !why.empty()) throw UsageError("--target cuda cannot be used: {}", why);
  const std::string target = !o.target.empty() ? o.target : why.empty() ? "cuda" : "emulated";
  if (o.time && target != "cuda")
    throw UsageError("the emulator has no speed to measure: --time needs --target cuda and an NVIDIA GPU{}",
                     why.empty() ? "" : " (here: " + why + ")");
  return target;
}

std::vector<std::string> chosen_rungs(const Options& o, const Runner& runner) {
  std::vector<std::string> names;
  std::string known;
  for (const RungInfo& r : runner.rungs()) {
    known += (known.empty() ? "" : ", ") + r.name;
    if (o.kernel == "all" || o.kernel == r.name) names.push_back(r.name);
  }
  if (names.empty()) throw UsageError("unknown kernel '{}': use all, or one of {}", o.kernel, known);
  return names;
}

// ---- --list

/// Rungs, their ideas, and the stored types that they take.
void list(const Runner& runner) {
  for (const RungInfo& r : runner.rungs()) {
    std::string types;
    for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::fp8_e4m3, DType::i8})
      if (runner.why_not(r.name, {.head_dim = 64, .kv_dtype = type}).empty())
        types += fmt::format("{}{}", types.empty() ? "" : " ", name_of(type));
    print(fmt::format("{:<11}  {:<45} K/V {}\n", r.name, r.idea, types));
  }
}

// ---- --check

/// "3 of 120, 40 s to go", on a terminal alone.
class CheckProgress {
 public:
  explicit CheckProgress(int64_t total) : total_(total) {}
  void at(int64_t done) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    if (isatty(STDERR_FILENO) == 0 || (seconds < shown_ + 0.5 && done < total_)) return;
    shown_ = seconds;
    const double left = seconds / static_cast<double>(done) * static_cast<double>(total_ - done);
    say(fmt::format("\r{} of {} problems, {:.0f} s to go   ", done, total_, left));
    if (done == total_) say("\n");
  }

 private:
  int64_t total_;
  Clock::time_point start_ = Clock::now();
  double shown_ = 0;
};

int32_t n_threads(const Options& o) {
  return o.n_threads > 0 ? o.n_threads
                         : std::max(1, static_cast<int32_t>(std::thread::hardware_concurrency()));
}

CheckReport run_check(const Options& o, const std::string& target, int64_t n_cases,
                      const std::function<CheckCase(int64_t)>& at, bool quiet = false) {
  CheckProgress progress(n_cases);
  return check({.n_cases = n_cases,
                .at = at,
                .make_runner = [&] { return make_runner(target); },
                .n_threads = n_threads(o),
                .progress =
                    [&](int64_t done) {
                      if (!quiet) progress.at(done);
                    }});
}

/// Every n-th problem of a set.
struct Problems {
  int64_t n;
  std::function<CheckCase(int64_t)> at;
};
Problems every_nth(int64_t size, int64_t nth, std::function<CheckCase(int64_t)> at) {
  return {(size + nth - 1) / nth, [nth, at = std::move(at)](int64_t i) { return at(i * nth); }};
}

/// From some of them, spread evenly.
void say_estimate(const Options& o, const std::string& target, const Problems& all) {
  constexpr int64_t kSample = 64;
  const auto start = Clock::now();
  run_check(
      o, target, kSample, [&](int64_t i) { return all.at((2 * i + 1) * all.n / (2 * kSample)); }, true);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  note(fmt::format("{} problems, each on every kernel that takes it: about {:.0f} minutes on {} threads",
                   all.n, seconds / kSample * static_cast<double>(all.n) / 60, n_threads(o)));
}

CheckReport check_set(const Options& o, const std::string& target, const Runner& runner,
                      const std::vector<std::string>& rungs) {
  const CheckSet set(rungs, [&](const std::string& rung, const gpu::AttendShape& shape) {
    return runner.why_not(rung, shape).empty();
  });
  if (o.set == "full") {
    const Problems all = every_nth(set.full_size(), o.every, [&](int64_t i) { return set.full(i); });
    say_estimate(o, target, all);
    return run_check(o, target, all.n, all.at);
  }
  const std::vector<CheckCase> cases = set.quick();
  const Problems quick = every_nth(static_cast<int64_t>(cases.size()), o.every,
                                   [&](int64_t i) { return cases[static_cast<size_t>(i)]; });
  return run_check(o, target, quick.n, quick.at);
}

/// One line a rung and stored type; returns whether all were run and held.
bool print_report(const Options& o, const std::vector<std::string>& rungs, const CheckReport& report) {
  int64_t n_problems = 0, n_failed = 0;
  for (const auto& [key, line] : report.lines) {
    n_problems += line.n_problems;
    n_failed += line.n_failed;
    print(fmt::format("{:<11}  {:<4} {:>7} problems   largest error {:>5.2f} of its bound   {}\n", key.first,
                      name_of(key.second), line.n_problems, line.largest_share,
                      line.n_failed == 0
                          ? "held"
                          : fmt::format("{} FAILED, first: {}", line.n_failed, line.first_failure)));
  }
  bool all_run = true;
  for (const std::string& rung : rungs)
    if (std::none_of(report.lines.begin(), report.lines.end(),
                     [&](const auto& line) { return line.first.first == rung; })) {
      print(fmt::format("{:<11}  was not run: it takes none of these problems; lower --every\n", rung));
      all_run = false;
    }
  print(fmt::format("{} runs against naive-f64, {} failed\n", n_problems, n_failed));
  if (!report.lost.empty())
    print(fmt::format("the device answers nothing any more, and the check ended, after {}{}\n", report.lost,
                      n_threads(o) == 1 ? "" : " (or what ran beside it: --threads 1 tells)"));
  return n_failed == 0 && all_run && report.lost.empty();
}

// ---- --time

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

/// Rungs that failed their check are left out. Returns whether every time could be taken.
bool time_rungs(const Options& o, Runner& runner, const std::vector<std::string>& rungs,
                const CheckReport& report) {
  TimeJob job{.full = o.shapes == "full",
              .seconds = o.seconds,
              .json = o.json,
              .go_on = o.go_on,
              .date = today(),
              .say = note};
  for (const std::string& rung : rungs)
    if (passed(report, rung))
      job.rungs.push_back(rung);
    else
      note(fmt::format("{} failed its check and is not timed", rung));
  const TimeReport times = time_all(job, runner);
  if (!o.table.empty()) rewrite_table(o.table, table(times.results));
  if (o.json.empty() && o.table.empty()) print(table(times.results));
  return !times.failed;
}

// ---- main

void validate(const Options& o) {
  if (!o.list && !o.check && !o.time && o.from.empty())
    throw UsageError("nothing to do: use --list, --check, --time or --from FILE (see --help)");
  if (!o.table.empty() && !o.time && o.from.empty())
    throw UsageError("--table needs times: add --time, or --from FILE of an earlier run");
  if (!o.json.empty() && !o.time) throw UsageError("--json needs --time");
  if (!o.from.empty() && (o.time || o.check)) throw UsageError("--from reads times: drop --time and --check");
  if (!o.from.empty() && o.list) throw UsageError("--from reads times: drop --list");
  if (o.go_on && o.json.empty()) throw UsageError("--continue needs the file to go on with: add --json FILE");
  if (o.seconds > 0 && !o.time) throw UsageError("--seconds needs --time");
  if (o.every > 1 && !o.check) throw UsageError("--every needs --check");
  if (!o.table.empty()) require_markers(o.table);
  if (!o.json.empty()) require_results_file(o.json, o.go_on);
}

int run(const Options& o) {
  validate(o);
  if (!o.from.empty()) {
    const std::string text = table(read_results(o.from));
    o.table.empty() ? print(text) : rewrite_table(o.table, text);
    return 0;
  }
  if (o.skip_without_gpu && !why_no_gpu().empty()) {
    print(fmt::format("skipped: no GPU to use: {}\n", why_no_gpu()));
    return kExitSkipped;
  }
  const std::string target = chosen_target(o);
  const auto runner = make_runner(target);
  const std::vector<std::string> rungs = chosen_rungs(o, *runner);
  if (o.target.empty() && target == "emulated")
    note(fmt::format("no GPU to use ({}): running under the emulator", why_no_gpu()));
  if (o.list) list(*runner);
  if (!o.check && !o.time) return 0;

  // Nothing is timed that was not checked: with --time alone, at the quick set.
  Options checked = o;
  if (!o.check) checked.set = "quick";
  const CheckReport report = check_set(checked, target, *runner, rungs);
  bool held = print_report(o, rungs, report);
  if (o.time && report.lost.empty()) held &= time_rungs(o, *runner, rungs, report);
  return held ? 0 : kExitFailed;
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
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond the limit is a write that fails, with a message
  lastrow::driver::Options o;
  CLI::App app{"Checks and times the attention kernels of the ladder."};
  app.name("lastrow-kernels");
  app.add_option("--target", o.target, "Default: cuda where there is a GPU, else emulated")
      ->check(CLI::IsMember({"cuda", "emulated"}));
  app.add_option("--kernel", o.kernel, "all, or one: k05")->capture_default_str();
  app.add_flag("--list", o.list, "Say what the rungs are and what they take");
  app.add_flag("--check", o.check, "Hold every rung against naive-f64, at ugly shapes");
  app.add_option("--set", o.set, "Problems to check: quick (every pair of values) or full (the product)")
      ->check(CLI::IsMember({"quick", "full"}))
      ->capture_default_str();
  app.add_flag("--time", o.time, "After the check, time what held (a GPU only)");
  app.add_option("--shapes", o.shapes, "Shapes to time: quick (the table's) or full (the product)")
      ->check(CLI::IsMember({"quick", "full"}))
      ->capture_default_str();
  app.add_option("--json", o.json, "Write the times to this file");
  app.add_option("--table", o.table, "Rewrite the table between the marker comments of this file");
  app.add_option("--from", o.from, "Make the table from the JSON of an earlier run");
  app.add_option("--every", o.every,
                 "Check every N-th problem of the set: a part of what --set full would take days for")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}));
  app.add_option("--seconds", o.seconds, "Time nothing more after so many seconds, and say what is left")
      ->check(CLI::Range(1.0, 86400.0));
  app.add_flag("--continue", o.go_on, "Time what the file of --json does not have yet");
  app.add_option("--threads", o.n_threads, "Default: one a core")->check(CLI::Range(1, 1024));
  app.add_flag("--skip-without-gpu", o.skip_without_gpu, "Where there is no GPU: say so and exit with 77");
  app.footer(
      "Example:\n  lastrow-kernels --check --kernel k05\n\n"
      "Exit status: 0 all held, 1 a kernel failed, 2 bad usage, 77 skipped.");
  for (CLI::Option* option : app.get_options())
    if (option->get_type_size() == 1 && option->get_name() != "--help")
      option->each([](const std::string& value) {
        if (value.empty()) throw CLI::ValidationError("needs a value");
      });
  const auto fail = [](std::string_view message) {
    lastrow::driver::say(fmt::format("lastrow-kernels: {}\n", message));
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
    return fail(fmt::format("{}: use fewer --threads", e.what()));
  } catch (const std::exception& e) {
    return fail(e.what());
  }
}
