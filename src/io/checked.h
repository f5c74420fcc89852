// What every loader does with text and numbers found in a file before it believes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace lastrow {

/// `text` with nothing in it that moves a terminal's cursor, changes its colours or ends a line: control
/// characters, line separators and marks of writing direction become \n, \u001b …, and what is not UTF-8 U+FFFD.
/// Everything that a program prints of a name or text that came from a file passes through here, or shown().
std::string escaped(std::string_view text);

/// `text` from a file as one short printable piece of a message: "abc", cut after 80 bytes,
/// escaped() and with quotes and backslashes escaped as JSON does.
std::string shown(std::string_view text);

/// dims as a Shape, once it is known that a Shape can hold them and that no product of its dimensions, in
/// bytes, leaves int64_t; a dimension 0 does not excuse the others. `what` starts the message of the
/// FileError: "FILE: tensor 'x'".
Shape checked_shape(const std::vector<int64_t>& dims, DType dtype, const std::string& what);

}  // namespace lastrow
