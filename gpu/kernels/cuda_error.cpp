#include "gpu/kernels/cuda_error.h"

#include <cstdint>
#include <map>
#include <mutex>

namespace lastrow {

CudaError::CudaError(cudaError_t error, const char* expression, const char* file, int line,
                     const char* kernel)
    : Error("{} in {} at {}:{}{}{}: {}", cudaGetErrorName(error), expression, file, line,
            *kernel == '\0' ? "" : ", kernel ", kernel, cudaGetErrorString(error)),
      code(error) {}

namespace cuda {

namespace {

/// Of the kernel's static arrays; asked of the driver once a kernel.
int64_t static_shared(const char* kernel, const void* function) {
  static std::mutex mutex;
  static std::map<const void*, int64_t> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(function); found != known.end()) return found->second;
  cudaFuncAttributes attributes{};
  if (const cudaError_t code = cudaFuncGetAttributes(&attributes, function); code != cudaSuccess)
    throw CudaError(code, "cudaFuncGetAttributes", __FILE__, __LINE__, kernel);
  return known[function] = static_cast<int64_t>(attributes.sharedSizeBytes);
}

}  // namespace

void allow_shared(const char* kernel, const void* function, int64_t bytes) {
  constexpr int64_t kWithoutAsking = 48 << 10;
  if (bytes + static_shared(kernel, function) <= kWithoutAsking) return;
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
