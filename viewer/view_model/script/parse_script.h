// From text to a script (script.h has the language).
//
//   Script s = parse_script(text, "tour.txt");   throws ScriptError "tour.txt:3: expected …, got …"
#pragma once

#include <string>

#include "core/error.h"
#include "viewer/view_model/script/script.h"

namespace lastrow::view {

/// A wrong line; the message names the file, the line and what was expected.
struct ScriptError : UsageError {
  using UsageError::UsageError;
};

Script parse_script(const std::string& text, const std::string& name);
/// Reads and parses a file. Throws FileError if it cannot be read, is not a regular file,
/// or is longer than 1 MiB.
Script load_script(const std::string& path);

}  // namespace lastrow::view
