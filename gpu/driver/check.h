// Runs rungs at many problems and holds each result against the judge.
//
//   const CheckReport report = check(cases, make_runner, n_threads, progress);
//   for (const CheckLine& line : report) …     one a rung and stored type
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
using CheckReport = std::map<std::pair<std::string, DType>, CheckLine>;  // rung, stored type

struct CheckJob {
  int64_t n_cases;
  std::function<CheckCase(int64_t)> at;
  std::function<std::unique_ptr<Runner>()> make_runner;
  int32_t n_threads;
  std::function<void(int64_t done)> progress;  // called by one thread at a time
};

CheckReport check(const CheckJob& job);

/// Did the rung hold at every problem it was run at?
bool passed(const CheckReport& report, const std::string& rung);

}  // namespace lastrow::driver
