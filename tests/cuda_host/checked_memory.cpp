// The device, and its memory.
#include "cuda_host/checked_cuda.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "cuda_host/checked_device.h"

using namespace lastrow::checked_cuda;

namespace {
constexpr size_t kMostCopied = size_t{64} << 10;  // a larger copy is checked, but not done
}

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) { return *version = state().claims.driver, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* n) { return *n = state().claims.n_devices, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  *p = {};
  std::strcpy(p->name, "no GPU: every call is checked, nothing is run");
  p->major = state().claims.major, p->minor = 0;
  p->multiProcessorCount = 132;
  p->totalGlobalMem = static_cast<size_t>(state().claims.memory_bytes);
  p->sharedMemPerBlockOptin = kMostShared;
  p->l2CacheSize = 50 << 20;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() { return std::exchange(state().last_error, cudaSuccess); }

// ---- memory

cudaError_t cudaMalloc(void** address, size_t bytes) {
  State& s = state();
  if (breaks_recording("cudaMalloc")) return cudaErrorStreamCaptureUnsupported;
  constexpr size_t kPage = 4096;
  const size_t mapped = (bytes + kPage - 1) / kPage * kPage;
  if (bytes == 0 || s.counts.bytes_in_use + static_cast<int64_t>(bytes) > s.claims.memory_bytes)
    return result(cudaErrorMemoryAllocation);
  void* const reserved = mmap(reinterpret_cast<void*>(s.next), mapped, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  void* const shadow =
      mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED || shadow == MAP_FAILED) std::abort();
  s.next += mapped + kPage;  // addresses are never reused, so freed memory is recognised
  s.memory[reinterpret_cast<uintptr_t>(reserved)] = {bytes, static_cast<std::byte*>(shadow)};
  s.counts.bytes_in_use += static_cast<int64_t>(bytes);
  ++s.counts.n_allocations;
  *address = reserved;
  return cudaSuccess;
}
cudaError_t cudaFree(void* address) {
  State& s = state();
  if (address == nullptr) return cudaSuccess;
  if (breaks_recording("cudaFree")) return cudaErrorStreamCaptureUnsupported;
  const auto found = s.memory.find(reinterpret_cast<uintptr_t>(address));
  if (found == s.memory.end()) return mistake(cudaErrorInvalidValue, "memory freed twice or never allocated");
  munmap(address, found->second.bytes);
  munmap(found->second.shadow, found->second.bytes);
  s.counts.bytes_in_use -= static_cast<int64_t>(found->second.bytes);
  s.memory.erase(found);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** address, size_t bytes) {
  if (breaks_recording("cudaMallocHost")) return cudaErrorStreamCaptureUnsupported;
  *address = std::malloc(bytes);
  state().live.insert(*address);
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* address) {
  if (state().live.erase(address) == 0)
    return mistake(cudaErrorInvalidValue, "host memory freed twice or never allocated");
  std::free(address);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = static_cast<size_t>(state().claims.memory_bytes);
  *free = static_cast<size_t>(state().claims.memory_bytes - state().counts.bytes_in_use);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  State& s = state();
  if (bytes == 0) return cudaSuccess;
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a copy on a stream that is not");
  const bool to_device = kind != cudaMemcpyDeviceToHost, from_device = kind != cudaMemcpyHostToDevice;
  if (to_device != on_device(to) || from_device != on_device(from))
    return mistake(cudaErrorInvalidValue, "a copy in another direction than its addresses say");
  void* const into = to_device ? shadow(to, bytes) : to;
  const void* const out_of = from_device ? shadow(from, bytes) : from;
  if (into == nullptr || out_of == nullptr)
    return mistake(cudaErrorInvalidValue, fmt::format("a copy of {} bytes beyond an allocation", bytes));
  if (stream->recording) {
    if (kind != cudaMemcpyDeviceToDevice)
      return breaks_recording("a copy from or to the host"), cudaErrorStreamCaptureUnsupported;
    return put(stream, {"a copy", Work::copy, {to, from}});
  }
  s.counts.n_uploads += from_device ? 0 : 1;
  s.counts.n_downloads += to_device ? 0 : 1;
  ++s.n_work;
  if (bytes <= kMostCopied) std::memmove(into, out_of, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int, size_t bytes, cudaStream_t stream) {
  if (!is_live(stream)) return mistake(cudaErrorInvalidResourceHandle, "a memset on a stream that is not");
  if (shadow(to, bytes) == nullptr) return mistake(cudaErrorInvalidValue, "a memset beyond an allocation");
  return cudaSuccess;
}

}  // extern "C"
