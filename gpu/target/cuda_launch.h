// The only way to start a kernel on a GPU. emulated_launch.h has the same interface for the emulator.
//
//   launch(Kernel{"k05_vector_loads", k05_vector_loads<float, 64>}, grid, block, shared_bytes, stream, args…)
//
// It returns as soon as the kernel is queued. Every launch is checked, in release builds too. An error while
// the kernel runs is reported by the next call that waits.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "gpu/target/stream.h"

namespace lastrow::cuda {

using gpu::Begins;
using gpu::Kernel;

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

/// Lets the kernel use that much dynamic shared memory. CUDA must be asked only if dynamic and static arrays
/// together take more than 48 KiB.
void allow_shared(const char* kernel, const void* function, int64_t bytes);
/// Whether the kernel was compiled for sm_90 or later: only then does wait_for_previous() wait.
bool can_wait_for_previous(const char* kernel, const void* function);
/// Throws CudaError if the launch was refused; else adds it to the launch notes (launch_notes.h).
void check_launch(cudaError_t code, const char* kernel, const void* function, int64_t shared_bytes);

template <typename... Parameters, typename... Arguments>
void launch(Kernel<Parameters...> kernel, Dim3 grid, Dim3 block, int64_t shared_bytes, Stream stream,
            const Arguments&... arguments) {
  const auto* const function = reinterpret_cast<const void*>(kernel.function);
  if (shared_bytes > 0) allow_shared(kernel.name, function, shared_bytes);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid.x, grid.y, grid.z);
  config.blockDim = dim3(block.x, block.y, block.z);
  config.dynamicSmemBytes = static_cast<size_t>(shared_bytes);
  config.stream = stream;
  cudaLaunchAttribute early{};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  if (kernel.begins == Begins::early && can_wait_for_previous(kernel.name, function)) {
    config.attrs = &early;
    config.numAttrs = 1;
  }
  // This status is that of this launch. After <<<…>>> it would be that of whatever failed last.
  check_launch(cudaLaunchKernelEx(&config, kernel.function, arguments...), kernel.name, function,
               shared_bytes);
}

}  // namespace lastrow::cuda
