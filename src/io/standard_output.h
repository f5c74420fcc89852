// Results on standard output, so that none is lost without a word.
//
//   print("text");      written and flushed when it returns; throws FileError if that fails
//
// Print every result before an output file is committed (atomic_file.h): then a full standard output leaves
// existing files as they were.
#pragma once

#include <string_view>

namespace lastrow {

void print(std::string_view text);
/// For what was printed by other means. Throws as print does.
void flush_standard_output();

}  // namespace lastrow
