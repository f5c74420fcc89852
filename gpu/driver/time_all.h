// Times rungs at the shapes of the table.
//
//   const TimeReport times = time_all({.full = false, .json = "times.json", .rungs = {"k09", "k11"}, …},
//   runner); rewrite_table("gpu/README.md", table(times.results));
//
// Invariant: whatever ends it, the file holds every time of the shapes before, and one that goes on with it
// (go_on) takes those that are not there.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

struct TimeJob {
  bool full = false;   // timed_shapes
  double seconds = 0;  // no time is begun later; 0: no limit
  std::string json{};  // file that is written after each shape; empty: none
  bool go_on = false;  // with what that file holds, if it is there
  std::string date{};  // "2026-11-22"
  std::function<void(const std::string&)> say{};
  std::vector<std::string> rungs{};
};

struct TimeReport {
  nlohmann::json results{};  // results.h
  bool failed = false;       // a time could not be taken; said
};

/// What a rung does not take is left out silently, what does not fit the device is said. Throws UsageError
/// under the emulator and if the file holds times of another device, FileError if it cannot be written.
TimeReport time_all(const TimeJob& job, Runner& runner);

}  // namespace lastrow::driver
