#include "gpu/target/cuda_error.h"

#include <cstdint>
#include <map>
#include <mutex>

#include "gpu/target/launch_notes.h"

namespace lastrow {

CudaError::CudaError(cudaError_t error, const char* expression, const char* file, int line,
                     const char* kernel)
    : Error("{} in {} at {}:{}{}{}: {}", cudaGetErrorName(error), expression, file, line,
            *kernel == '\0' ? "" : ", kernel ", kernel, cudaGetErrorString(error)),
      code(error) {}

namespace cuda {

namespace {

thread_local std::vector<LaunchNote>* launch_notes = nullptr;

[[noreturn]] void refuse(cudaError_t code, const char* expression, int line, const char* kernel) {
  cudaGetLastError();  // clears CUDA's error state, so that it is reported only once
  throw CudaError(code, expression, __FILE__, line, kernel);
}

/// The driver is asked once per kernel.
cudaFuncAttributes attributes_of(const char* kernel, const void* function) {
  static std::mutex mutex;
  static std::map<const void*, cudaFuncAttributes> known;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(function); found != known.end()) return found->second;
  cudaFuncAttributes attributes{};
  if (const cudaError_t code = cudaFuncGetAttributes(&attributes, function); code != cudaSuccess)
    refuse(code, "cudaFuncGetAttributes", __LINE__, kernel);
  return known[function] = attributes;
}

}  // namespace

void allow_shared(const char* kernel, const void* function, int64_t bytes) {
  constexpr int64_t kWithoutAsking = 48 << 10;
  static std::mutex mutex;
  static std::map<const void*, int64_t> allowed;  // the most that was asked for so far
  if (bytes + static_cast<int64_t>(attributes_of(kernel, function).sharedSizeBytes) <= kWithoutAsking) return;
  const std::lock_guard lock(mutex);
  int64_t& most = allowed[function];
  if (bytes <= most) return;
  const cudaError_t code =
      cudaFuncSetAttribute(function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (code != cudaSuccess) refuse(code, "cudaFuncSetAttribute(MaxDynamicSharedMemorySize)", __LINE__, kernel);
  most = bytes;
}

bool can_wait_for_previous(const char* kernel, const void* function) {
  // Ask the kernel, not the device: code compiled from older PTX has no wait, even on a new GPU.
  return attributes_of(kernel, function).ptxVersion >= 90;
}

void check_launch(cudaError_t code, const char* kernel, const void* function, int64_t shared_bytes) {
  if (code != cudaSuccess) refuse(code, "launch", __LINE__, kernel);
  if (launch_notes == nullptr) return;
  const cudaFuncAttributes a = attributes_of(kernel, function);
  launch_notes->push_back({kernel, a.numRegs, shared_bytes + static_cast<int64_t>(a.sharedSizeBytes)});
}

void note_launches(std::vector<LaunchNote>* notes) { launch_notes = notes; }

}  // namespace cuda
}  // namespace lastrow
