// Runs rungs at many problems and holds each result against the judge.
//
//   CheckJournal journal("", {"quick", n});
//   check({.n_cases = n, .at = …, .make_runner = …, .n_threads = 2}, journal);
//   const CheckReport report = report_of(journal);
//   for (const auto& [rung_and_type, line] : report.lines) …
//   for (const auto& [rung, where] : report.ended) …       what broke the device, or ended an earlier process
//
// The judge takes most of the time, so it runs on all threads. Under the emulator each thread has a runner of
// its own. On a GPU all take turns at one (one_device): then it is known which rung ran when the device
// broke. What is reported does not depend on how many threads there are: of several failures of a rung and
// type the first in the order of cases is kept.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "gpu/driver/check_cases.h"
#include "gpu/driver/check_journal.h"
#include "gpu/driver/runner.h"

namespace lastrow::driver {

struct CheckLine {
  int64_t n_problems = 0, n_failed = 0;
  double largest_share = 0;  // of an error in its bound
  int64_t first_failed = 0;  // number of the case
  std::string first_failure;
};

struct CheckReport {
  std::map<std::pair<std::string, DType>, CheckLine> lines;  // rung, stored type
  std::map<std::string, std::string> ended;  // rung → where it broke the device or its process
};

struct CheckJob {
  int64_t n_cases;
  std::function<CheckCase(int64_t)> at;
  std::function<std::unique_ptr<Runner>()> make_runner;
  int32_t n_threads;
  bool one_device = false;
  double seconds = 0;   // no problem is begun later; 0: no limit
  double patience = 0;  // seconds that one device may take for one rung (watchdog.h); 0: no limit
  std::function<void(int64_t done)> progress = [](int64_t) {};  // called by one thread at a time
};

/// How a check stopped.
struct CheckEnd {
  int64_t n_left = 0;  // problems that were not begun
  /// Rung, problem and error after which the device answered nothing. All later work of the process would
  /// fail as well, so none is begun; a new process can go on with the journal.
  std::string lost;
};

/// Runs what the journal does not know yet.
CheckEnd check(const CheckJob& job, CheckJournal& journal);

CheckReport report_of(const CheckJournal& journal);

/// What is known of a rung: held at every problem it was run at, missed a bound, or broke the device.
enum class CheckResult { not_checked, held, failed, ended };
CheckResult result_of(const CheckReport& report, const std::string& rung);

}  // namespace lastrow::driver
