#include "gpu/kernels/cuda_error.h"

#include <cstdint>
#include <map>
#include <mutex>

#include "gpu/kernels/launch_notes.h"

namespace lastrow {

CudaError::CudaError(cudaError_t error, const char* expression, const char* file, int line,
                     const char* kernel)
    : Error("{} in {} at {}:{}{}{}: {}", cudaGetErrorName(error), expression, file, line,
            *kernel == '\0' ? "" : ", kernel ", kernel, cudaGetErrorString(error)),
      code(error) {}

namespace cuda {

namespace {

thread_local std::vector<LaunchNote>* launch_notes = nullptr;

/// Asked of the driver once a kernel.
cudaFuncAttributes attributes_of(const char* kernel, const void* function) {
  static std::mutex mutex;
  static std::map<const void*, cudaFuncAttributes> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(function); found != known.end()) return found->second;
  cudaFuncAttributes attributes{};
  if (const cudaError_t code = cudaFuncGetAttributes(&attributes, function); code != cudaSuccess)
    throw CudaError(code, "cudaFuncGetAttributes", __FILE__, __LINE__, kernel);
  return known[function] = attributes;
}

}  // namespace

void allow_shared(const char* kernel, const void* function, int64_t bytes) {
  constexpr int64_t kWithoutAsking = 48 << 10;
  if (bytes + static_cast<int64_t>(attributes_of(kernel, function).sharedSizeBytes) <= kWithoutAsking) return;
  const cudaError_t code =
      cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (code != cudaSuccess)
    throw CudaError(code, "cudaFuncSetAttribute(MaxDynamicSharedMemorySize)", __FILE__, __LINE__, kernel);
}

void check_launch(const char* kernel, const void* function, int64_t shared_bytes) {
  if (const cudaError_t code = cudaGetLastError(); code != cudaSuccess)
    throw CudaError(code, "launch", __FILE__, __LINE__, kernel);
  if (launch_notes == nullptr) return;
  const cudaFuncAttributes a = attributes_of(kernel, function);
  launch_notes->push_back({kernel, a.numRegs, shared_bytes + static_cast<int64_t>(a.sharedSizeBytes)});
}

void note_launches(std::vector<LaunchNote>* notes) { launch_notes = notes; }

}  // namespace cuda
}  // namespace lastrow
