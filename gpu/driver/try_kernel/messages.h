// Finds in the output of a compiler the line of a user's kernel file that a message is about.
#pragma once

#include <string>

#include "gpu/driver/try_kernel/source.h"

namespace lastrow::driver {

/// The first message of this kind ("error", "warning") in the output of gcc, clang or nvcc, as "my.cu:31: text";
/// "" if there is none. If it is in a header, the innermost line of the source that led there comes first:
/// "my.cu:31: text (at attend_operands.h:93)".
std::string first_message(const std::string& output, const std::string& kind, const OwnSource& source);

}  // namespace lastrow::driver
