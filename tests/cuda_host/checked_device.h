// Shared by the parts of checked_cuda: the state of the device, its memory, and its stream of work.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda_host/checked_cuda.h"

namespace lastrow::checked_cuda {

/// One piece of work. It may be recorded.
struct Work {
  std::string name;
  enum { kernel, product, copy } kind = kernel;
  std::vector<const void*> addresses{};  // the device addresses that it uses
  bool early = false;                    // a kernel that may begin before the work before it has ended
};

}  // namespace lastrow::checked_cuda

// ---- what CUDA's handles point to; callers never look at it

struct CUgraph_st {
  std::vector<lastrow::checked_cuda::Work> work;
};
struct CUgraphExec_st {
  std::vector<lastrow::checked_cuda::Work> work;
};
struct CUstream_st {
  bool recording = false, broken = false;
  CUgraph_st* graph = nullptr;
};
struct CUevent_st {
  int64_t at = -1;  // pieces of work before it
};

namespace lastrow::checked_cuda {

constexpr int64_t kMostShared = 227 << 10;  // per block
// The host has no address between these two.
constexpr uintptr_t kDeviceBegin = uintptr_t{0x200000000000}, kDeviceEnd = uintptr_t{0x300000000000};

struct Allocation {
  size_t bytes = 0;
  std::byte* shadow = nullptr;  // the same bytes where the host can reach them
};

struct State {
  Claims claims;
  Counts counts;
  std::vector<std::string> mistakes;
  std::map<uintptr_t, Allocation> memory;
  std::set<const void*> live;  // handles
  uintptr_t next = kDeviceBegin;
  int64_t n_work = 0;
  std::string failing;
  bool hangs = false;
  cudaError_t fail_code = cudaSuccess, wait_code = cudaSuccess, last_error = cudaSuccess;
  cudaStream_t recording = nullptr;
};
State& state();

/// The return value of a call. A failure becomes CUDA's last error.
cudaError_t result(cudaError_t code);
cudaError_t mistake(cudaError_t code, const std::string& what);
/// For calls that no stream allows while it records: counts a mistake, and the recording is lost.
bool breaks_recording(const char* call);
cudaError_t wait(const char* call);

/// Whether [address, address + bytes) is within an allocation.
bool is_allocated(const void* address, size_t bytes);
bool on_device(const void* address);
/// The host address of that memory; null if it is not within an allocation.
std::byte* shadow(const void* address, size_t bytes);

/// Does the work, or records it.
cudaError_t put(cudaStream_t stream, Work work);
void run(const Work& work);

template <typename Handle, typename... Args>
Handle* make_handle(Args&&... args) {
  auto* made = new Handle{std::forward<Args>(args)...};
  state().live.insert(made);
  return made;
}
template <typename Handle>
cudaError_t drop_handle(Handle* handle, const char* what) {
  if (state().live.erase(handle) == 0)
    return mistake(cudaErrorInvalidResourceHandle, fmt::format("{} given back twice or never made", what));
  delete handle;
  return cudaSuccess;
}
inline bool is_live(const void* handle) { return state().live.contains(handle); }

}  // namespace lastrow::checked_cuda
