// Runs rungs on many problems and compares each result with the judge's.
//
//   CheckJournal journal("", {"quick", n});
//   check({.n_cases = n, .at = …, .make_runner = …, .n_threads = 2}, journal);
//   const CheckReport report = make_report(journal);
//   for (const auto& [rung_and_type, line] : report.lines) …
//   for (const auto& [rung, where] : report.ended) …       what broke the device, or ended an earlier process
//
// The judge takes most of the time, so it runs on all threads. Under the emulator each thread has a runner of
// its own. On a GPU the threads take turns at one runner (one_device): if the device breaks, it is known
// which rung ran. The report does not depend on the number of threads: of several failures of a rung and
// type, it keeps the first in the order of cases.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>

#include "gpu/driver/check_cases.h"
#include "gpu/driver/check_journal.h"
#include "gpu/driver/runner.h"

namespace lastrow::driver {

struct CheckLine {
  int64_t n_problems = 0, n_failed = 0;
  double largest_share = 0;  // error / bound
  int64_t first_failed = 0;  // number of the first case that failed
  std::string first_failure;
};

using RungAndTypes = std::pair<std::string, KvDtypes>;
struct ByRungThenTypes {
  bool operator()(const RungAndTypes& a, const RungAndTypes& b) const {
    return std::tie(a.first, a.second.k, a.second.v) < std::tie(b.first, b.second.k, b.second.v);
  }
};

struct CheckReport {
  std::map<RungAndTypes, CheckLine, ByRungThenTypes> lines;
  std::map<std::string, std::string> ended;  // rung → where it broke the device or its process
};

struct CheckJob {
  int64_t n_cases;
  std::function<CheckCase(int64_t)> at;
  std::function<std::unique_ptr<Runner>()> make_runner;
  int32_t n_threads;
  bool one_device = false;
  double seconds = 0;   // no problem is begun later; 0: no limit
  double patience = 0;  // seconds that the one device may take for one rung (watchdog.h); 0: no limit
  std::function<void(int64_t done)> progress = [](int64_t) {};  // called by one thread at a time
};

/// How a check stopped.
struct CheckEnd {
  int64_t n_left = 0;  // problems that were not begun
  /// The rung, problem and error after which the device no longer answered; empty if it answers. All later
  /// work of this process would fail too, so none is begun. A new process can continue with the journal.
  std::string lost;
};

/// Runs the problems that the journal does not know yet.
CheckEnd check(const CheckJob& job, CheckJournal& journal);

CheckReport make_report(const CheckJournal& journal);

/// What is known of a rung: it held its bound at every problem that it was run on, missed one, or broke the
/// device.
enum class CheckResult { not_checked, held, failed, ended };
CheckResult result_of(const CheckReport& report, const std::string& rung);

}  // namespace lastrow::driver
