// Times rungs at shapes.
//
//   const TimeEnd end = time_all({.shapes = timed_shapes(ShapeSet::table), .rungs = {"k09", "k11"},
//                                 .checked = report, .json = "times.json", …}, runner);
//   rewrite_table("gpu/README.md", table(end.results));
//
// Each output is compared once with that of another rung (agreement.h). A rung that failed its check is timed
// too: the results say what is known of it.
//
// Invariant: whatever ends it, the file holds every time that was taken before, and one that goes on with it
// (go_on) takes those that are not there. A time during which the device was lost is not tried again; a rung
// that lost it twice is timed no more. One that broke the device in its check comes last, and has one try.
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
  std::vector<TimedShape> shapes{};  // in this order
  std::vector<std::string> rungs{};  // of a shape, in this order
  CheckReport checked{};
  double seconds = 0;   // no time is begun later; 0: no limit
  double patience = 0;  // seconds that the device may take for one time (watchdog.h); 0: no limit
  std::string json{};   // file that is written before and after each time; empty: none
  bool go_on = false;   // with what that file holds, if it is there
  bool retry = false;   // a time that was running when the file was left; else it is lost
  std::string date{};   // "2026-11-22"
  std::function<void(const std::string&)> say{};
};

struct TimeEnd {
  nlohmann::json results{};  // results.h
  bool failed = false;       // a time could not be taken; said
  int64_t n_left = 0;        // that were not begun, because the seconds were over
  bool lost = false;         // the device answers nothing any more: a new process can go on
};

/// k01 to k04 are timed at 4,096 keys at most. What a rung does not take is left out silently, what does not
/// fit the device is said. Throws UsageError under the emulator and if the file holds times of another
/// device, FileError if it cannot be written.
TimeEnd time_all(const TimeJob& job, Runner& runner);

}  // namespace lastrow::driver
