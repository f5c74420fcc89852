// What lastrow-kernels says: results on standard output, everything else on standard error.
#pragma once

#include <string_view>

namespace lastrow::driver {

/// Throws FileError if standard output takes no more.
void print(std::string_view text);
/// As it is. Lost where standard error takes no more: nothing fails for a note that nobody reads.
void say(std::string_view text);

}  // namespace lastrow::driver
