// Runs rungs at many problems and holds each result against the judge.
//
//   const CheckReport report = check({.n_cases = n, .at = …, .make_runner = …, .n_threads = 2, .progress =
//   …}); for (const auto& [rung_and_type, line] : report.lines) … if (!report.lost.empty()) …            the
//   device answers nothing any more: what it was doing then
//
// Each thread has a runner of its own. What is reported does not depend on how many there are: of several
// failures of a rung and type the first in the order of cases is kept.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "gpu/driver/check_cases.h"
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
  /// Rung, problem and error after which nothing could be run. A GPU's memory fault ends all work of the
  /// process, so later cases would fail as well: none is begun.
  std::string lost;
};

struct CheckJob {
  int64_t n_cases;
  std::function<CheckCase(int64_t)> at;
  std::function<std::unique_ptr<Runner>()> make_runner;
  int32_t n_threads;
  std::function<void(int64_t done)> progress;  // called by one thread at a time
};

CheckReport check(const CheckJob& job);

/// Was the rung run, and did it hold at every problem?
bool passed(const CheckReport& report, const std::string& rung);

}  // namespace lastrow::driver
