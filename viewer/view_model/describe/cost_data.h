// What the cost curves and the roofline are made from.
#pragma once

#include <cstdint>
#include <string>

#include "session/step_record.h"

namespace lastrow::view {

/// How the time of a step was measured.
enum class TimeKind : uint8_t {
  none,      // not measured
  recorded,  // one run with every tensor recorded, which takes most of the time
  once,      // one run without recording
  median     // the median of several runs without recording
};

/// What one step cost one side, without pokes.
struct StepCost {
  int64_t flop = 0;
  int64_t bytes = 0;  // weights + cache + scratch
  double wall_us = 0;
  TimeKind time = TimeKind::none;
};

inline int64_t bytes_moved(const StepRecord& r) {
  return r.weight_bytes + r.cache_bytes_read + r.cache_bytes_written + r.kv_scratch_bytes;
}

/// The limits of this machine's CPU, measured in this run. Small steps read from the caches of the processor,
/// and large ones from memory, so there are two bandwidths, each with the size of its buffer.
struct MachineRoof {
  int n_threads = 0;
  double peak_gflops = 0;
  double small_gbps = 0, large_gbps = 0;
  int64_t small_bytes = 0, large_bytes = 0;
  std::string error;  // one line; not empty: nothing was measured
};

}  // namespace lastrow::view
