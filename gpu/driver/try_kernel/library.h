// Compiles a user's kernel file and loads it into this program.
//
//   OwnRung own{.name = source.name};
//   add_rung(source, "emulated", own);       own.emulated is now the rung of the file
//
// The files that this needs are temporary and gone when it returns; the loaded code stays.
#pragma once

#include "gpu/driver/runner.h"
#include "gpu/driver/try_kernel/compiler.h"

namespace lastrow::driver {

/// Throws what compile() throws (compiler.h), and UsageError if the library cannot be loaded. Says the
/// compiler's first warning.
void add_rung(const OwnSource& source, const std::string& target, OwnRung& own);

}  // namespace lastrow::driver
