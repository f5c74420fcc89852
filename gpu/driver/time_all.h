// Times rungs on shapes.
//
//   const TimeEnd end = time_all({.shapes = timed_shapes(ShapeSet::table), .rungs = {"k09", "k11"},
//                                 .checked = report, .json = "times.json", …}, runner);
//   rewrite_table("gpu/README.md", table(end.results));
//
// Each output is compared once with that of another rung (agreement.h). A rung that failed its check is timed
// too; the results say that it failed.
//
// Invariant: whatever ends the run, the file holds every time that was taken before. A run that continues
// with it (go_on) takes the times that are missing. A time during which the device was lost is not tried
// again, and a rung that lost it twice is no longer timed. A rung that broke the device in its check comes
// last, and has one try.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gpu/driver/check.h"
#include "gpu/driver/runner.h"
#include "gpu/driver/timed_shapes.h"

namespace lastrow::driver {

struct TimeJob {
  std::vector<TimedShape> shapes{};  // timed in this order
  std::vector<std::string> rungs{};  // timed in this order for each shape
  CheckReport checked{};
  double seconds = 0;   // no time is begun later; 0: no limit
  double patience = 0;  // seconds that the device may take for one time (watchdog.h); 0: no limit
  std::string json{};   // the file that is rewritten before and after each time; empty: none
  bool go_on = false;   // continue with the results in that file, if it exists
  bool retry = false;   // try again the time during which the last run ended; else it counts as lost
  std::string date{};   // "2026-11-22"
  std::function<void(const std::string&)> say{};
};

struct TimeEnd {
  nlohmann::json results{};  // results.h
  bool failed = false;       // a time could not be taken; `say` was told why
  int64_t n_left = 0;        // times that were not begun, because the seconds were over
  bool lost = false;         // the device no longer answers; a new process can continue
};

/// k01 to k04 are timed with at most 4,096 keys. A shape that a rung does not take is left out silently; a
/// shape that does not fit the device is left out with a note. Throws UsageError under the emulator, or if
/// the file holds times of another device, and FileError if the file cannot be written.
TimeEnd time_all(const TimeJob& job, Runner& runner);

}  // namespace lastrow::driver
