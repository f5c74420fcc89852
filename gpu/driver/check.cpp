#include "gpu/driver/check.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

namespace lastrow::driver {
namespace {

struct Attempt {
  double share = 0;
  std::string failure;  // empty: held
};

Attempt attempt(Runner& runner, const std::string& rung, const testing::JudgedCase& judged) {
  try {
    const testing::Verdict v = testing::verdict(judged, runner.attend(rung));
    return {v.share(), v.ok() ? "" : v.to_string()};
  } catch (const std::exception& e) {  // a finding of the emulator, an error of the device
    return {std::numeric_limits<double>::infinity(), e.what()};
  }
}

void note(CheckLine& line, int64_t i, const testing::AttendCase& problem, const Attempt& a) {
  ++line.n_problems;
  line.largest_share = std::max(line.largest_share, a.share);
  if (a.failure.empty()) return;
  if (line.n_failed++ > 0 && line.first_failed < i) return;
  line.first_failed = i;
  line.first_failure = describe(problem) + ": " + a.failure;
}

/// Everything that the threads of a check share.
class Check {
 public:
  explicit Check(const CheckJob& job) : job_(job) {}

  /// Works until no case is left; one call a thread.
  void work() {
    try {
      const auto runner = job_.make_runner();
      for (int64_t i = next_++; i < job_.n_cases; i = next_++) {
        run_case(*runner, i);
        const std::lock_guard lock(mutex_);
        job_.progress(++n_done_);
      }
    } catch (...) {
      stop();
      const std::lock_guard lock(mutex_);
      if (report_.lost.empty()) failure_ = std::current_exception();
    }
  }
  CheckReport report() {
    if (failure_) std::rethrow_exception(failure_);
    return std::move(report_);
  }

 private:
  void run_case(Runner& runner, int64_t i) {
    const CheckCase c = job_.at(i);
    if (c.rungs.empty()) return;
    const testing::JudgedCase judged = testing::judge(c.problem);
    std::optional<testing::JudgedCase> rounded;
    runner.load(judged);
    for (const std::string& rung : c.rungs) {
      const bool rounds = products_of(rung) == testing::Products::rounded;
      if (rounds && !rounded) rounded = testing::judge(c.problem, testing::Products::rounded);
      const Attempt a = attempt(runner, rung, rounds ? *rounded : judged);
      const std::string lost = a.failure.empty() ? "" : runner.lost();
      const std::lock_guard lock(mutex_);
      if (!report_.lost.empty()) return;  // another thread's rung took the device with it
      note(report_.lines[{rung, c.problem.kv_dtype}], i, c.problem, a);
      if (lost.empty()) continue;
      report_.lost = fmt::format("{} at {}: {}", rung, describe(c.problem), lost);
      return stop();
    }
  }
  void stop() { next_ = job_.n_cases; }

  const CheckJob& job_;
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;
  int64_t n_done_ = 0;
  CheckReport report_;
  std::exception_ptr failure_;
};

}  // namespace

CheckReport check(const CheckJob& job) {
  Check all(job);
  {
    std::vector<std::jthread> others;
    for (int32_t t = 1; t < job.n_threads; ++t) others.emplace_back([&] { all.work(); });
    all.work();
  }
  return all.report();
}

bool passed(const CheckReport& report, const std::string& rung) {
  bool any = false;
  for (const auto& [key, line] : report.lines)
    if (key.first == rung) {
      if (line.n_failed > 0) return false;
      any = true;
    }
  return any;
}

}  // namespace lastrow::driver
