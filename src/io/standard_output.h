// Prints results on standard output. A result that cannot be printed is an error.
//
//   print("text");      writes and flushes; throws FileError if that fails
//
// Print every result before you commit an output file (atomic_file.h). Then a full standard output leaves
// existing files unchanged.
#pragma once

#include <string_view>

namespace lastrow {

void print(std::string_view text);
/// For text that was printed in other ways. Throws as print does.
void flush_standard_output();

}  // namespace lastrow
