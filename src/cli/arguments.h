// Rules for the arguments of every command.
//
//   refuse_empty_values(*subcommand);      after its options are added
#pragma once

#include <CLI/CLI.hpp>

namespace lastrow::cli {

/// Makes an empty value of an option an error, such as --trace "" or --model "".
void refuse_empty_values(CLI::App& subcommand);

/// A check for CLI11: only digits, and a number that fits in 64 bits. Returns "" or the error.
std::string require_uint64(const std::string& text);

}  // namespace lastrow::cli
