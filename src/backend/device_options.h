// The options of a device backend, the same for a GPU and for the emulated one.
#pragma once

#include <cstdint>
#include <string>

namespace lastrow::gpu {

struct DeviceOptions {
  std::string kernel;          // "k05": the rung that attends, if it takes the shape; empty: chosen by shape
  bool check = false;          // emulated: look for races and for reads of shared memory that was not written
  bool report = false;         // emulated: count memory traffic
  int32_t report_blocks = 32;  // emulated: count at most so many blocks per launch, evenly spaced
  double limit_seconds = 60;   // emulated: refuse a launch that is estimated to take longer; 0: no limit
};

}  // namespace lastrow::gpu
