// The stream that a launch is queued on, for both targets. It includes no header of a target, so the host
// code of a backend may include it.
//
// LASTROW_TARGET is `cuda` or `emulated`. The build sets it for everything that is compiled once per target:
// kernels, their launchers, and the backend that calls them.
#pragma once

struct CUstream_st;  // what a cudaStream_t points to

namespace lastrow::gpu {
/// When a kernel may begin: after the kernel before it on the stream has ended,
/// or while it still runs (early_launch.h).
enum class Begins { after, early };

/// What launch takes: a kernel, its name for messages, and when it may begin.
template <typename... Parameters>
struct Kernel {
  const char* name;
  void (*function)(Parameters...);
  Begins begins = Begins::after;
};

template <typename... Parameters>
Kernel(const char*, void (*)(Parameters...)) -> Kernel<Parameters...>;
template <typename... Parameters>
Kernel(const char*, void (*)(Parameters...), Begins) -> Kernel<Parameters...>;
}  // namespace lastrow::gpu

namespace lastrow::simt {
class Device;
}

namespace lastrow::cuda {
using Stream = CUstream_st*;
}

namespace lastrow::emulated {
using Stream = simt::Device*;
}
