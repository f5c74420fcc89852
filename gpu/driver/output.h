// What lastrow-kernels says: results on standard output (print), everything else on standard error (say).
#pragma once

#include <string_view>

#include "io/standard_output.h"

namespace lastrow::driver {

/// As it is. Lost where standard error takes no more: nothing fails for a note that nobody reads.
void say(std::string_view text);

}  // namespace lastrow::driver
