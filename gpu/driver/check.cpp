#include "gpu/driver/check.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "gpu/driver/watchdog.h"

namespace lastrow::driver {
namespace {

using Clock = std::chrono::steady_clock;

struct Attempt {
  double share = 0;
  std::string failure;  // empty: held
};

Attempt attempt(Runner& runner, const std::string& rung, const judge::JudgedCase& judged) {
  try {
    const judge::Verdict v = judge::verdict(judged, runner.attend(rung));
    return {v.share(), v.ok() ? "" : v.to_string()};
  } catch (const std::exception& e) {  // a finding of the emulator, or an error of the device
    return {std::numeric_limits<double>::infinity(), e.what()};
  }
}

/// Everything that the threads of a check share.
class Check {
 public:
  Check(const CheckJob& job, CheckJournal& journal)
      : job_(job), journal_(journal), watchdog_(job.one_device ? job.patience : 0) {
    if (job.one_device) shared_runner_ = job.make_runner();
  }

  /// Works until no case is left; called once per thread.
  void work() {
    try {
      const auto own_runner = job_.one_device ? nullptr : job_.make_runner();
      for (int64_t i = take(); i < job_.n_cases; i = take()) {
        run_case(own_runner ? *own_runner : *shared_runner_, i);
        const std::lock_guard lock(mutex_);
        job_.progress(++n_done_);
      }
    } catch (...) {
      next_ = job_.n_cases;
      const std::lock_guard lock(mutex_);
      if (end_.lost.empty() && !failure_) failure_ = std::current_exception();
    }
  }
  CheckEnd end() {
    if (failure_) std::rethrow_exception(failure_);
    return std::move(end_);
  }

 private:
  /// The next case, or n_cases if there is none.
  int64_t take() {
    const bool is_over =
        job_.seconds > 0 && std::chrono::duration<double>(Clock::now() - start_).count() > job_.seconds;
    if (!is_over) return next_++;
    const int64_t next = next_.exchange(job_.n_cases);
    const std::lock_guard lock(mutex_);
    end_.n_left += std::max<int64_t>(0, job_.n_cases - next);
    return job_.n_cases;
  }

  /// The rungs that still have to run the case.
  std::vector<std::string> rungs_left(const CheckCase& c, int64_t i) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> left;
    for (const std::string& rung : c.rungs)
      if (!journal_.knows(rung, i) && journal_.ended_by(rung).empty()) left.push_back(rung);
    return left;
  }

  void run_case(Runner& runner, int64_t i) {
    const CheckCase c = job_.at(i);
    const std::vector<std::string> rungs = rungs_left(c, i);
    if (rungs.empty()) return;
    const judge::JudgedCase judged = judge::judged_case(c.problem);
    std::optional<judge::JudgedCase> rounded;
    for (const std::string& rung : rungs)
      if (products_of(rung) == judge::Products::rounded && !rounded)
        rounded = judge::judged_case(c.problem, judge::Products::rounded);

    std::unique_lock turn(device_mutex_, std::defer_lock);
    if (job_.one_device) turn.lock();
    if (job_.one_device && is_lost()) return;
    load(runner, judged);
    for (const std::string& rung : rungs) {
      const bool rounds = products_of(rung) == judge::Products::rounded;
      if (!run_rung(runner, rung, i, rounds ? *rounded : judged)) return;
    }
  }

  void load(Runner& runner, const judge::JudgedCase& judged) {
    const auto watch = watchdog_.watch("copies to the device for " + describe(judged.c));
    runner.load(judged);
  }

  /// Returns whether the device can go on.
  bool run_rung(Runner& runner, const std::string& rung, int64_t i, const judge::JudgedCase& judged) {
    const std::string where = describe(judged.c);
    Attempt a;
    std::string lost;
    {
      if (job_.one_device) {
        const std::lock_guard lock(mutex_);
        journal_.begin(rung, i, where);
      }
      const auto watch = watchdog_.watch(rung + " at " + where);
      a = attempt(runner, rung, judged);
      if (!a.failure.empty()) lost = runner.lost();
    }
    const std::lock_guard lock(mutex_);
    if (!end_.lost.empty()) return false;  // a rung of another thread has broken the device
    if (!a.failure.empty()) a.failure = where + ": " + a.failure;
    journal_.end({rung, judged.c.kv_dtype, i, a.share, a.failure});
    if (lost.empty()) return true;
    journal_.give_up(rung, where);
    end_.lost = fmt::format("{} at {}: {}", rung, where, lost);
    next_ = job_.n_cases;
    return false;
  }
  bool is_lost() {
    const std::lock_guard lock(mutex_);
    return !end_.lost.empty();
  }

  const CheckJob& job_;
  const Clock::time_point start_ = Clock::now();
  std::atomic<int64_t> next_ = 0;
  std::mutex mutex_;  // guards the journal, n_done_, end_ and failure_
  CheckJournal& journal_;
  int64_t n_done_ = 0;
  CheckEnd end_;
  std::exception_ptr failure_;
  std::mutex device_mutex_;  // taken before mutex_
  std::unique_ptr<Runner> shared_runner_;
  Watchdog watchdog_;
};

}  // namespace

CheckEnd check(const CheckJob& job, CheckJournal& journal) {
  Check all(job, journal);
  {
    std::vector<std::jthread> others;
    try {
      for (int32_t t = 1; t < job.n_threads; ++t) others.emplace_back([&] { all.work(); });
    } catch (const std::system_error&) {  // no more threads: the existing ones do the work
    }
    all.work();
  }
  return all.end();
}

CheckReport make_report(const CheckJournal& journal) {
  CheckReport report{.lines = {}, .ended = journal.ended()};
  for (const CheckOutcome& o : journal.outcomes()) {
    CheckLine& line = report.lines[{o.rung, o.types}];
    ++line.n_problems;
    line.largest_share = std::max(line.largest_share, o.share);
    if (o.failure.empty()) continue;
    if (line.n_failed++ > 0 && line.first_failed < o.problem) continue;
    line.first_failed = o.problem;
    line.first_failure = o.failure;
  }
  return report;
}

CheckResult result_of(const CheckReport& report, const std::string& rung) {
  if (report.ended.contains(rung)) return CheckResult::ended;
  CheckResult result = CheckResult::not_checked;
  for (const auto& [key, line] : report.lines)
    if (key.first == rung) {
      if (line.n_failed > 0) return CheckResult::failed;
      result = CheckResult::held;
    }
  return result;
}

}  // namespace lastrow::driver
