// lastrow-kernels --check: chooses the problems and the number of threads, and prints the result.
#pragma once

#include "gpu/driver/check.h"
#include "gpu/driver/options.h"

namespace lastrow::driver {

struct CheckedRungs {
  CheckReport report;
  bool held = false;    // all rungs were run, and every result is within its bound
  bool is_cut = false;  // the seconds ended before all problems were run
  bool lost = false;    // the device no longer answers; a new process can continue with the journal
};

/// Checks the rungs and prints a line for each rung and stored type. The runner is only asked what a rung
/// takes. `own` may be one of the rungs; then one runner runs all problems, and a kernel that does not end is
/// noticed (o.patience).
CheckedRungs check_rungs(const Options& o, const std::string& target, const Runner& runner,
                         const std::vector<std::string>& rungs, const OwnRung& own = {});

/// Prints a journal; it needs no device. Throws FileError if the file is not a journal.
void print_journal(const std::string& journal);

}  // namespace lastrow::driver
