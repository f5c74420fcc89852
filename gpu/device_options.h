// What can be asked of a device backend when it is made, the same for a GPU and for the emulated one.
#pragma once

#include <cstdint>
#include <string>

namespace lastrow::gpu {

struct DeviceOptions {
  std::string kernel;     // "k05": the rung that attends, where it takes the shape; empty: chosen by shape
  int32_t n_threads = 0;  // emulated: OS threads; 0: one a core
  bool check = false;     // emulated: look for races and for reads of shared memory that nobody wrote
  bool report = false;    // emulated: count memory traffic
  int32_t report_blocks = 32;  // emulated: of how many blocks of a launch at most, evenly spaced
  double limit_seconds = 60;   // emulated: a launch estimated above this is refused; 0: never
};

}  // namespace lastrow::gpu
