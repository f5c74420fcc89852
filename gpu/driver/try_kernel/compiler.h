// Compiles a kernel file into a shared library: for the emulator with a C++ compiler, for a GPU with nvcc.
//
//   compile(source, "emulated", wrapper, library);     paths of files; the wrapper includes source.path
//
// Compilers, flags and include paths are those that the program was built with. The environment can change
// them: CXX and NVCC name the compilers, LASTROW_SOURCE the folder of lastrow's sources.
#pragma once

#include <string>

#include "core/error.h"
#include "gpu/driver/try_kernel/source.h"

namespace lastrow::driver {

/// The compiler, or what it needs, is not on this machine.
struct NoCompiler : UsageError {
  using UsageError::UsageError;
};

/// Throws NoCompiler; and UsageError with the first error of the compiler and its line in the source. Then
/// everything that the compiler wrote is kept beside the source, as my.cu.log. Returns the compiler's first
/// warning, or "".
std::string compile(const OwnSource& source, const std::string& target, const std::string& wrapper,
                    const std::string& library);

}  // namespace lastrow::driver
