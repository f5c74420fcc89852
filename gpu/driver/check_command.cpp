#include "gpu/driver/check_command.h"
#include "gpu/driver/case_shape.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "gpu/driver/device.h"
#include "gpu/driver/output.h"

namespace lastrow::driver {
namespace {

using Clock = std::chrono::steady_clock;

/// Shows "3 of 120 problems, 40 s to go", only on a terminal.
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

CheckJob check_job(const Options& o, const std::string& target, const OwnRung& own, int64_t n_cases,
                   const std::function<CheckCase(int64_t)>& at) {
  return {.n_cases = n_cases,
          .at = at,
          .make_runner = [target, own] { return make_runner(target, own); },
          .n_threads = n_threads(o),
          .one_device = target == "cuda" || !own.name.empty(),
          .seconds = o.seconds,
          .patience = o.patience};
}

/// Every n-th problem of a set.
struct Problems {
  int64_t n;
  std::function<CheckCase(int64_t)> at;
};
Problems every_nth(int64_t size, int64_t nth, std::function<CheckCase(int64_t)> at) {
  return {(size + nth - 1) / nth, [nth, at = std::move(at)](int64_t i) { return at(i * nth); }};
}

Problems choose_problems(const Options& o, const CheckSet& set) {
  if (o.set == "full") return every_nth(set.full_size(), o.every, [&set](int64_t i) { return set.full(i); });
  const std::vector<CheckCase> cases = set.quick();
  const auto n = static_cast<int64_t>(cases.size());
  return every_nth(n, o.every, [cases](int64_t i) { return cases[static_cast<size_t>(i)]; });
}

/// Estimates the time of all problems from some of them, evenly spaced.
void say_estimate(const Options& o, const std::string& target, const OwnRung& own, const Problems& all) {
  constexpr int64_t kSample = 64;
  CheckJournal journal("", {});
  const auto start = Clock::now();
  check(check_job(o, target, own, kSample,
                  [&](int64_t i) { return all.at((2 * i + 1) * all.n / (2 * kSample)); }),
        journal);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  say(fmt::format("{} problems, each on every kernel that takes it: about {:.0f} minutes on {} threads\n",
                  all.n, seconds / kSample * static_cast<double>(all.n) / 60, n_threads(o)));
}

/// The names of the rungs in a report.
std::vector<std::string> names_in(const CheckReport& report) {
  std::vector<std::string> names;
  for (const auto& [key, line] : report.lines) names.push_back(key.first);
  for (const auto& [rung, where] : report.ended) names.push_back(rung);
  return names;
}

void print_lines(const CheckReport& report, size_t width) {
  for (const auto& [key, line] : report.lines)
    print(fmt::format("{:<{}}  {:<14} {:>7} problems   largest error {:>5.2f} of its bound   {}\n", key.first,
                      width, judge::types_name(key.second), line.n_problems, line.largest_share,
                      line.n_failed == 0
                          ? "held"
                          : fmt::format("{} FAILED, first: {}", line.n_failed, line.first_failure)));
}

void print_ended(const CheckReport& report, size_t width) {
  for (const auto& [rung, where] : report.ended)
    print(fmt::format("{:<{}}  BROKE THE DEVICE or ended its process at {}; not run again\n", rung, width,
                      where));
}

/// Prints "37 runs against naive-f64, 5 failed". Returns whether none failed.
bool print_sum(const CheckReport& report) {
  int64_t n_runs = 0, n_failed = 0;
  for (const auto& [key, line] : report.lines) n_runs += line.n_problems, n_failed += line.n_failed;
  print(fmt::format("{} runs against naive-f64, {} failed\n", n_runs, n_failed));
  return n_failed == 0;
}

/// Returns whether all rungs were run and held their bounds.
bool print_report(const Options& o, const std::vector<std::string>& rungs, const CheckReport& report,
                  const CheckEnd& end) {
  std::vector<std::string> names = names_in(report);
  names.insert(names.end(), rungs.begin(), rungs.end());
  const size_t width = width_of(names);
  print_lines(report, width);
  print_ended(report, width);
  bool all_run = report.ended.empty();
  for (const std::string& rung : rungs)
    if (result_of(report, rung) == CheckResult::not_checked && end.n_left == 0 && end.lost.empty()) {
      print(
          fmt::format("{:<{}}  was not run: it takes none of these problems; lower --every\n", rung, width));
      all_run = false;
    }
  if (end.n_left > 0)
    print(fmt::format("{} problems were not begun: the {:g} s were over\n", end.n_left, o.seconds));
  const bool held = print_sum(report);
  if (!end.lost.empty())
    print(fmt::format("the check ended, because the device no longer answers after {}\n", end.lost));
  return held && all_run;
}

}  // namespace

CheckedRungs check_rungs(const Options& o, const std::string& target, const Runner& runner,
                         const std::vector<std::string>& rungs, const OwnRung& own) {
  const CheckSet set(rungs, [&](const std::string& rung, const gpu::AttendShape& shape) {
    return runner.why_not(rung, shape).empty();
  });
  const Problems problems = choose_problems(o, set);
  if (o.set == "full") say_estimate(o, target, own, problems);
  const std::string of = fmt::format("{}, every {}, on {}", o.set, o.every, runner.device().device);
  CheckJournal journal(o.journal, {of, problems.n});
  CheckJob job = check_job(o, target, own, problems.n, problems.at);
  CheckProgress progress(problems.n);
  job.progress = [&](int64_t done) { progress.at(done); };
  const CheckEnd end = check(job, journal);
  CheckReport report = make_report(journal);
  const bool held = print_report(o, rungs, report, end);
  return {std::move(report), held, end.n_left > 0, !end.lost.empty()};
}

void print_journal(const std::string& path) {
  const CheckReport report = make_report(CheckJournal(path));
  const size_t width = width_of(names_in(report));
  print_lines(report, width);
  print_ended(report, width);
  print_sum(report);
}

}  // namespace lastrow::driver
