// What the emulator can find wrong with a kernel, each under its own name.
//
// A finding ends the launch with a SimtError. Its message names kernel, block, thread and source line:
//   "k04_shared_tiles, block (1, 0, 0), thread (37, 0, 0), k04_shared_tiles.cu:38: out of bounds: writes
//    s_k[1152] of 1152 elements"
#pragma once

#include <cstdint>
#include <string>

#include "core/error.h"

namespace lastrow::simt {

enum class Finding : uint8_t {
  barrier_not_reached,   // some thread of the block does not come to a __syncthreads
  absent_lane,           // a lane that the mask of a shuffle, vote or __syncwarp names does not come, or one
                         // of all 32 lanes does not come to an mma or ldmatrix
  out_of_bounds,         // an access outside of a shared or global array
  misaligned,            // a vector access that is not aligned to its own size
  uninitialised_shared,  // a read of shared memory that no thread has written
  shared_race,           // accesses of two threads, one of them a write, that nothing orders
  global_race,           // the same in global memory, between two threads of one block
  shared_layout,         // two threads declare different shared arrays, or more than the launch gave
  launch_limits,         // a grid, block or shared size that no GPU takes
};

/// "out of bounds", …
const char* name_of(Finding finding);

struct SimtError : Error {
  SimtError(Finding what, const std::string& message) : Error("{}", message), finding(what) {}
  Finding finding;
};

}  // namespace lastrow::simt
