// Checks for text and numbers that come from a file. Every loader calls them before it uses such a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace lastrow {

/// `text` without anything that moves a terminal's cursor, changes its colours or ends a line:
///   control characters, line separators, direction marks    become \n, \u001b and so on
///   bytes that are not UTF-8                                become U+FFFD
/// Never print a name or text from a file without escaped() or shown().
std::string escaped(std::string_view text);

/// How many bytes at the start of the text are valid UTF-8: text.size() if all of it is.
size_t valid_utf8(std::string_view text);

/// `text` from a file, in quotes and short enough for a message: "abc". Escapes as escaped() does, and quotes
/// and backslashes as JSON does. Cuts the text after 80 bytes.
std::string shown(std::string_view text);

/// `dims` as a Shape. Throws FileError if there are too many dimensions, if one is negative, or if the size
/// in bytes overflows int64_t. For the overflow a dimension 0 counts as 1, so it does not hide large ones.
/// `what` starts the message: "FILE: tensor 'x'".
Shape checked_shape(const std::vector<int64_t>& dims, DType dtype, const std::string& what);

}  // namespace lastrow
