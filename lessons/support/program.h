// Runs a program and reads what it said: how the ledger runs the lessons.
//
//   const ProgramRun run = run_program(folder_of_this_program() / "lesson_01_…", {"--json"}, 60);
//   run.status   run.out   run.err
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lastrow::lessons {

struct ProgramRun {
  int status;  // of exit; −1 if a signal ended it
  std::string out, err;
};

/// Waits for its end, for at most so many seconds: then it is ended, and err says so. Throws FileError if it
/// cannot be started.
ProgramRun run_program(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                       int seconds);

/// Where the program that runs this lies.
std::filesystem::path folder_of_this_program();

}  // namespace lastrow::lessons
