// A kernel file of a user's own, in the form of the rungs (gpu/ladder; template.cu is an example).
//
//   const OwnSource source = read_own_source("my.cu");
//
// The file must hold one line that defines a rung: const Rung mine_rung{"mine", …};
#pragma once

#include <string>

namespace lastrow::driver {

struct OwnSource {
  std::string file;  // as the user wrote it
  std::string name;  // without its folders: "my.cu". It stands for the rung in tables and messages
  std::string path;  // absolute
  std::string rung;  // the C++ name of the rung: "mine_rung"
};

/// Throws FileError if the file cannot be read, and UsageError if it does not define exactly one rung.
OwnSource read_own_source(const std::string& file);

}  // namespace lastrow::driver
