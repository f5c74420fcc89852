// The few things that a device backend needs from its device besides kernels; one implementation per target.
//
// Work is queued on one stream, in order. After to_device returns, the host may change its bytes at once.
// to_host returns when the bytes have arrived.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"
#include "backend/device_options.h"
#include "gpu/backend/device_memory.h"
#include "gpu/parts/attend_call.h"
#include "gpu/target/stream.h"

namespace lastrow::LASTROW_TARGET {

/// Work that can be put on the stream any number of times.
class Recording {
 public:
  virtual ~Recording() = default;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual const char* name() const = 0;         // "cuda-emulated"
  virtual std::string description() const = 0;  // one line: device, library
  virtual int32_t n_threads() const = 0;        // OS threads that compute
  virtual gpu::DeviceLimits limits() const = 0;
  virtual const simt::Device* emulator() const { return nullptr; }  // as in BackendInfo

  virtual DeviceMemory& memory() = 0;
  virtual bool in_host_memory() const = 0;  // whether device memory is host memory
  virtual Stream stream() = 0;
  virtual void to_device(void* device, const void* host, int64_t bytes) = 0;
  virtual void to_host(void* host, const void* device, int64_t bytes) = 0;
  virtual void on_device(void* to, const void* from, int64_t bytes) = 0;

  /// out = x · weightᵀ.   x [n_rows, n_in]   weight [n_out, n_in]   out [n_rows, n_out]   all f32
  virtual void linear(ConstTensorView x, ConstTensorView weight, TensorView out) = 0;
  /// Calls ops, and records what it puts on the stream instead of running it, with every argument by value.
  /// ops must not allocate, free, or copy between host and device. If it throws, the recording ends and
  /// nothing of it has run.
  virtual std::unique_ptr<Recording> record(FunctionRef<void()> ops) = 0;
  virtual void play(Recording& recording) = 0;
  /// A profiler shows the site's name between these two calls.
  virtual void begin_range(Site site) = 0;
  virtual void end_range() = 0;
};

/// A profiler shows this site's name for the launches during its life.
class SiteRange {
 public:
  SiteRange(Runtime& runtime, Site site) : runtime_(runtime) { runtime_.begin_range(site); }
  ~SiteRange() { runtime_.end_range(); }
  SiteRange(const SiteRange&) = delete;
  SiteRange& operator=(const SiteRange&) = delete;

 private:
  Runtime& runtime_;
};

std::unique_ptr<Runtime> make_runtime(const gpu::DeviceOptions& options, int32_t n_threads);

}  // namespace lastrow::LASTROW_TARGET
