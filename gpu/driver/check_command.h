// lastrow-kernels --check: which problems, how many threads, what is printed.
#pragma once

#include "gpu/driver/check.h"
#include "gpu/driver/options.h"

namespace lastrow::driver {

struct CheckedRungs {
  CheckReport report;
  bool held = false;  // all rungs were run at all problems, and every result is within its bound
  bool lost = false;  // the device answers nothing any more: a new process can go on with the journal
};

/// Checks the rungs and prints a line for each rung and stored type. The runner only says what a rung takes.
CheckedRungs check_rungs(const Options& o, const std::string& target, const Runner& runner,
                         const std::vector<std::string>& rungs);

}  // namespace lastrow::driver
