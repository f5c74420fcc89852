// Rules that every command's arguments follow.
//
//   refuse_empty_values(*subcommand);      after its options were added
#pragma once

#include <CLI/CLI.hpp>

namespace lastrow::cli {

/// An option that is given takes a value of at least one character: --trace "" is no file, --model "" no
/// model.
void refuse_empty_values(CLI::App& subcommand);

/// A check of CLI11: digits alone, and no more of them than 64 bits hold. Says what is wrong, else "".
std::string require_uint64(const std::string& text);

}  // namespace lastrow::cli
