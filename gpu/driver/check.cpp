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

}  // namespace

CheckReport check(const CheckJob& job) {
  CheckReport report;
  std::mutex mutex;
  std::atomic<int64_t> next = 0;
  int64_t n_done = 0;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      const auto runner = job.make_runner();
      for (int64_t i = next++; i < job.n_cases; i = next++) {
        const CheckCase c = job.at(i);
        const testing::JudgedCase judged = testing::judge(c.problem);
        std::optional<testing::JudgedCase> rounded;
        if (!c.rungs.empty()) runner->load(judged);
        for (const std::string& rung : c.rungs) {
          const bool rounds = products_of(rung) == testing::Products::rounded;
          if (rounds && !rounded) rounded = testing::judge(c.problem, testing::Products::rounded);
          const Attempt a = attempt(*runner, rung, rounds ? *rounded : judged);
          const std::lock_guard lock(mutex);
          note(report[{rung, c.problem.kv_dtype}], i, c.problem, a);
        }
        const std::lock_guard lock(mutex);
        job.progress(++n_done);
      }
    } catch (...) {
      next = job.n_cases;
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int32_t t = 1; t < job.n_threads; ++t) others.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  return report;
}

bool passed(const CheckReport& report, const std::string& rung) {
  for (const auto& [key, line] : report)
    if (key.first == rung && line.n_failed > 0) return false;
  return true;
}

}  // namespace lastrow::driver
