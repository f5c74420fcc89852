#include <cstdlib>
#include <cstring>
#include <functional>

#include "backend/eigen.h"
#include "core/memory_limit.h"
#include "gpu/backend/device_backend.h"
#include "gpu/emulated_backend.h"
#include "gpu/ladder/ladder.h"
#include "gpu/simt/device.h"
#include "gpu/simt/report.h"

namespace lastrow {
namespace emulated {
namespace {

/// Host memory, aligned as cudaMalloc aligns. Host code that dereferences it by mistake works here but would
/// fail on a GPU; the emulator does not find that.
class EmulatedMemory final : public DeviceMemory {
  void* take(size_t bytes) override {
    constexpr size_t kAlignment = 256;
    return std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  void give_back(void* data) noexcept override { std::free(data); }
  std::pair<int64_t, int64_t> free_and_total() const override {
    const int64_t free = available_memory_bytes().value_or(0);
    return {free, free + bytes_in_use()};
  }
};

using Work = std::vector<std::function<void()>>;  // in stream order

struct RecordedWork final : Recording {
  Work work;
};

class EmulatedRuntime final : public Runtime {
 public:
  EmulatedRuntime(const gpu::DeviceOptions& options, int32_t n_threads)
      : device_(n_threads), linear_(n_threads) {
    device_.watch(
        {.check = options.check, .report = options.report, .n_sample_blocks = options.report_blocks});
    device_.limit_seconds(options.limit_seconds);
  }

  const char* name() const override { return "cuda-emulated"; }
  std::string description() const override { return "the kernels of cuda, thread by thread on the CPU"; }
  int32_t n_threads() const override { return device_.n_threads(); }
  /// As on an H100, so that K/V are split and counted as they would be there.
  gpu::DeviceLimits limits() const override { return {}; }
  const simt::Device* emulator() const override { return &device_; }

  DeviceMemory& memory() override { return *memory_; }
  bool in_host_memory() const override { return true; }
  Stream stream() override { return &device_; }
  void to_device(void* device, const void* host, int64_t bytes) override { copy(device, host, bytes); }
  void to_host(void* host, const void* device, int64_t bytes) override { copy(host, device, bytes); }
  void on_device(void* to, const void* from, int64_t bytes) override {
    put_on_stream([=] { copy(to, from, bytes); });
  }

  void linear(ConstTensorView x, ConstTensorView weight, TensorView out) override {
    put_on_stream([=, this] { linear_.run(Linear{{-1, "linear"}, x, weight, {}, out}); });
  }

  std::unique_ptr<Recording> record(FunctionRef<void()> ops) override {
    auto recorded = std::make_unique<RecordedWork>();
    device_.keep_launches(&recorded->work);
    try {
      ops();
    } catch (...) {
      device_.keep_launches(nullptr);
      throw;
    }
    device_.keep_launches(nullptr);
    return recorded;
  }
  void play(Recording& recording) override {
    for (const std::function<void()>& each : static_cast<RecordedWork&>(recording).work) each();
  }
  void begin_range(Site) override {}
  void end_range() override {}

 private:
  static void copy(void* to, const void* from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  /// Runs the work now; while a step is recorded, keeps it for each play of the recording.
  template <typename F>
  void put_on_stream(const F& work) {
    if (Work* const kept = device_.kept_launches())
      kept->emplace_back(work);
    else
      work();
  }
  std::unique_ptr<EmulatedMemory, DeviceMemory::Release> memory_ = make_memory<EmulatedMemory>();
  simt::Device device_;
  EigenBackend linear_;  // the stand-in for cuBLAS
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(const gpu::DeviceOptions& options, int32_t n_threads) {
  return std::make_unique<EmulatedRuntime>(options, n_threads);
}

}  // namespace emulated

std::unique_ptr<Backend> make_emulated_backend(const gpu::DeviceOptions& options, int32_t n_threads) {
  return std::make_unique<emulated::DeviceBackend>(options, n_threads);
}

std::vector<std::pair<std::string, std::string>> emulated_kernels() {
  std::vector<std::pair<std::string, std::string>> kernels;
  for (const emulated::Rung* rung : emulated::ladder())
    if (!rung->rounds) kernels.emplace_back(rung->name, rung->idea);
  return kernels;
}

std::string emulated_kernel_for(const gpu::AttendShape& shape) { return emulated::choose(shape).name; }

std::vector<simt::KernelTraffic> simt_traffic(const Backend& backend) {
  const BackendInfo info = backend.info();
  if (info.emulator == nullptr)
    throw UsageError("backend '{}' counts no memory traffic: use cuda-emulated", info.name);
  return info.emulator->traffic();
}

std::string simt_report(const Backend& backend) { return simt::report(simt_traffic(backend)); }

}  // namespace lastrow
