// The output of ptxas for the kernels of this build, which the build keeps (gpu/driver/keep_ptxas.sh).
#pragma once

#include <cstdint>
#include <string>

namespace lastrow::checked_cuda {

struct CompiledKernel {
  int64_t registers = 0;  // per thread
  int64_t static_shared = 0;
  size_t parameter_bytes = 0;
};

/// For sm_90, by the mangled name of the kernel. Aborts if no log has it.
CompiledKernel compiled_kernel(const std::string& name);

}  // namespace lastrow::checked_cuda
