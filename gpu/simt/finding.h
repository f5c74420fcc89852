// What the emulator finds wrong with a kernel, each under its own name.
//
// A finding ends the launch with a SimtError whose message names kernel, block, thread and source line:
//   "k04_shared_tiles, block (1, 0, 0), thread (37, 0, 0), k04_shared_tiles.cu:38: out of bounds: writes
//    s_k[1152] of 1152 elements"
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace lastrow::simt {

enum class Finding : uint8_t {
  barrier_not_reached,   // a __syncthreads that not all threads of the block come to
  absent_lane,           // a shuffle, vote or __syncwarp without a lane that its mask names; an mma or
                         // ldmatrix without all 32
  out_of_bounds,         // shared or global
  misaligned,            // a vector access off its natural alignment
  uninitialised_shared,  // a read of shared memory that nobody wrote
  shared_race,           // two threads, one of them writing, with nothing that orders them
  global_race,           // the same in global memory, of two threads of one block
  shared_layout,         // shared arrays declared differently by two threads, or more than the launch gave
  launch_limits,         // a grid, block or shared size that no GPU takes
};

/// "out of bounds", …
const char* name_of(Finding finding);

struct SimtError : Error {
  SimtError(Finding what, const std::string& message) : Error("{}", message), finding(what) {}
  Finding finding;
};

}  // namespace lastrow::simt
