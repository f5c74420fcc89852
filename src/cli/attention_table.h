// Compares every backend and kernel with double precision, on one problem.
#pragma once

#include <string>

#include "cli/attention_file.h"
#include "cli/backend_flags.h"

namespace lastrow::cli {

/// A table with one line for each backend that is usable here, and for each kernel of cuda and cuda-emulated.
/// A line holds the largest errors of out and lse compared with naive-f64 on the same stored K and V, and
/// whether they are within the bounds of the tolerance rule (judge/tolerance.h). If a kernel cannot take the
/// problem, or would take too long in the emulator, its line says so instead.
std::string comparison_table(const AttentionInput& input, const BackendFlags& flags);

}  // namespace lastrow::cli
