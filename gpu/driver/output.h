// The output of lastrow-kernels: results go to standard output (print), all else to standard error (say).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/standard_output.h"

namespace lastrow::driver {

/// Writes the text as it is. If standard error takes no more, the text is lost: a note that nobody can read
/// must not make the program fail.
void say(std::string_view text);

/// The width of a column of names: that of the longest, in characters.
size_t width_of(const std::vector<std::string>& names);

}  // namespace lastrow::driver
