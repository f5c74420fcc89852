// Runs the built `lastrow` and reads what it wrote.
//
//   LastrowOutcome o = lastrow_program({"memory", "--model", "gpt-2"});
//   CHECK(o.exit_code == 0);   o.out   o.err   o.json()
//   check_refused({"generate", "--prompt", ""}, "empty");      exit 2, one line, nothing on standard output
#pragma once

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "support/program.h"

namespace lastrow::testing {

struct LastrowOutcome : Outcome {
  nlohmann::json json() const { return nlohmann::json::parse(out); }
  /// Without the lines of progress, which come only on a slow machine.
  std::string err_without_progress() const {
    static const std::regex progress("lastrow: .*, \\d+ s\\n");
    return std::regex_replace(err, progress, "");
  }
  std::string first_line() const { return out.substr(0, out.find('\n')); }
};

inline LastrowOutcome lastrow_program(const std::vector<std::string>& arguments) {
  return {run(LASTROW_BIN_DIR "/lastrow", arguments)};
}

/// Checks that the program exits with 2, prints nothing on standard output, and says what is wrong in one
/// line that holds `expected`. (On a slow machine lines of progress may come before it.)
inline void check_refused(const std::vector<std::string>& arguments, const std::string& expected) {
  const LastrowOutcome o = lastrow_program(arguments);
  std::string shown;
  for (const std::string& argument : arguments) shown += " " + argument;
  CAPTURE(shown);
  CAPTURE(o.err);
  CHECK(o.exit_code == 2);
  CHECK(o.out.empty());
  const std::string error = o.err_without_progress();
  CHECK(error.starts_with("lastrow: "));
  CHECK(std::count(error.begin(), error.end(), '\n') == 1);
  CHECK(error.ends_with('\n'));
  CHECK(error.find(expected) != std::string::npos);
}

}  // namespace lastrow::testing
