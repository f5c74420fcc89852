// Runs a program and reads what it printed. The ledger runs the lessons with it.
//
//   const ProgramRun run = run_program(folder_of_this_program() / "lesson_01_…", {"--json"}, 60);
//   run.status   run.out   run.err
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lastrow::lessons {

struct ProgramRun {
  int status;  // exit status; −1 if a signal ended it
  std::string out, err;
};

/// Waits until the program ends. After `seconds` it is stopped, and err says so.
/// Throws FileError if it cannot be started.
ProgramRun run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                       int seconds);

/// The folder of the program that calls this.
std::filesystem::path folder_of_this_program();

}  // namespace lastrow::lessons
