// lastrow-kernels --check: which problems, how many threads, what is printed.
#pragma once

#include "gpu/driver/check.h"
#include "gpu/driver/options.h"

namespace lastrow::driver {

struct CheckedRungs {
  CheckReport report;
  bool held = false;    // all rungs were run, and every result is within its bound
  bool is_cut = false;  // not at all problems: the seconds were over
  bool lost = false;    // the device answers nothing any more: a new process can go on with the journal
};

/// Checks the rungs and prints a line for each rung and stored type. The runner only says what a rung takes.
CheckedRungs check_rungs(const Options& o, const std::string& target, const Runner& runner,
                         const std::vector<std::string>& rungs);

/// Prints what a journal holds, without a device. Throws FileError if it is none.
void print_journal(const std::string& journal);

}  // namespace lastrow::driver
