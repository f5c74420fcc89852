#include "gpu/kernels/cuda_error.h"

#include <cstdint>

namespace lastrow {

CudaError::CudaError(cudaError_t error, const char* expression, const char* file, int line,
                     const char* kernel)
    : Error("{} in {} at {}:{}{}{}: {}", cudaGetErrorName(error), expression, file, line,
            *kernel == '\0' ? "" : ", kernel ", kernel, cudaGetErrorString(error)),
      code(error) {}

namespace cuda {

void allow_shared(const char* kernel, const void* function, int64_t bytes) {
  const cudaError_t code =
      cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (code != cudaSuccess)
    throw CudaError(code, "cudaFuncSetAttribute(MaxDynamicSharedMemorySize)", __FILE__, __LINE__, kernel);
}

void check_launch(const char* kernel) {
  if (const cudaError_t code = cudaGetLastError(); code != cudaSuccess)
    throw CudaError(code, "launch", __FILE__, __LINE__, kernel);
}

}  // namespace cuda
}  // namespace lastrow
