// Every backend and rung on one problem, against double precision.
#pragma once

#include <string>

#include "cli/attention_file.h"
#include "cli/backend_flags.h"

namespace lastrow::cli {

/// A table, a line for each backend that can be used here and for each kernel of cuda and cuda-emulated: the
/// largest errors of out and lse against naive-f64 on the same stored K and V, and their bounds by the
/// tolerance rule (judge/tolerance.h). A kernel that cannot take the problem, or that would take the
/// emulator too long, has the reason instead.
std::string table_of_all(const AttentionInput& input, const BackendFlags& flags);

}  // namespace lastrow::cli
