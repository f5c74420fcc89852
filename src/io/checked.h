// What every loader does with text and numbers found in a file before it believes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace lastrow {

/// `text` from a file as one short printable piece of a message: "abc", cut after 80 bytes, with control
/// characters escaped as JSON does and U+FFFD for what is not UTF-8.
std::string shown(std::string_view text);

/// dims as a Shape, once it is known that a Shape can hold them and that no product of its dimensions, in
/// bytes, leaves int64_t; a dimension 0 does not excuse the others. `what` starts the message of the
/// FileError: "FILE: tensor 'x'".
Shape checked_shape(const std::vector<int64_t>& dims, DType dtype, const std::string& what);

}  // namespace lastrow
