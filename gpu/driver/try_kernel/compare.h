// What a user's own rung requests from memory, and how fast it is, beside rungs of the ladder.
//
//   print(compare_counts(*emulated_runner, "my.cu"));     counts of the emulator
//   print(compare_times(*runner, "my.cu", patience));     on a GPU
//
// Beside it stand the first two rungs of the ladder, and the rung that the backend chooses for the shape.
#pragma once

#include <string>

#include "gpu/driver/runner.h"

namespace lastrow::driver {

/// A decode of 300 keys, or a prefill of 64 if the rung takes no decode; in the first type that it takes. The
/// report of each kernel of the own rung by source line, then a row for each rung.
std::string compare_counts(Runner& runner, const std::string& own);

/// A row of times for each rung, for a decode and for a prefill that the own rung takes. `patience`: seconds
/// that the device may take for a rung (watchdog.h).
std::string compare_times(Runner& runner, const std::string& own, double patience);

}  // namespace lastrow::driver
