#include <cstring>

#include "backend/eigen.h"
#include "gpu/backend/device_backend.h"
#include "gpu/emulated_backend.h"
#include "gpu/kernels/ladder.h"
#include "gpu/simt/device.h"
#include "gpu/simt/report.h"

namespace lastrow {
namespace emulated {
namespace {

/// The emulated device's memory is the host's, but a backend that forgets to copy would not be found out: so
/// it is kept apart by name alone.
class EmulatedRuntime final : public Runtime {
 public:
  explicit EmulatedRuntime(const gpu::DeviceOptions& options)
      : device_(options.n_threads), linear_(options.n_threads) {
    device_.watch(
        {.check = options.check, .report = options.report, .n_sample_blocks = options.report_blocks});
    device_.limit_seconds(options.limit_seconds);
  }

  const char* name() const override { return "cuda-emulated"; }
  std::string description() const override { return "the kernels of cuda, thread by thread on the CPU"; }
  int32_t n_threads() const override { return device_.n_threads(); }
  /// Of an H100: K/V are split, and counted, as they would be there.
  int32_t n_multiprocessors() const override { return 132; }

  Memory& memory() override { return Memory::host(); }
  bool in_host_memory() const override { return true; }
  Stream stream() override { return &device_; }
  void to_device(void* device, const void* host, int64_t bytes) override { copy(device, host, bytes); }
  void to_host(void* host, const void* device, int64_t bytes) override { copy(host, device, bytes); }
  void on_device(void* to, const void* from, int64_t bytes) override { copy(to, from, bytes); }

  void linear(ConstTensorView x, ConstTensorView weight, TensorView out) override {
    linear_.linear({-1, "linear"}, x, weight, {}, out);
  }
  void replay(int64_t, FunctionRef<void()> ops) override { ops(); }
  void begin_range(Site) override {}
  void end_range() override {}

  const simt::Device& device() const { return device_; }

 private:
  static void copy(void* to, const void* from, int64_t bytes) {
    if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  }
  simt::Device device_;
  EigenBackend linear_;  // the stand-in for cuBLAS
};

}  // namespace

std::unique_ptr<Runtime> make_runtime(const gpu::DeviceOptions& options) {
  return std::make_unique<EmulatedRuntime>(options);
}

}  // namespace emulated

std::unique_ptr<Backend> make_emulated_backend(const gpu::DeviceOptions& options) {
  return std::make_unique<emulated::DeviceBackend>(options);
}

std::vector<std::pair<std::string, std::string>> emulated_kernels() {
  std::vector<std::pair<std::string, std::string>> kernels;
  for (const emulated::Rung* rung : emulated::ladder()) kernels.emplace_back(rung->name, rung->idea);
  return kernels;
}

std::string emulated_kernel_for(const gpu::AttendShape& shape) { return emulated::choose(shape).name; }

std::vector<simt::KernelTraffic> simt_traffic(const Backend& backend) {
  const auto* device = dynamic_cast<const emulated::DeviceBackend*>(&backend);
  if (device == nullptr)
    throw UsageError("backend '{}' counts no memory traffic: use cuda-emulated", backend.info().name);
  return static_cast<const emulated::EmulatedRuntime&>(device->runtime()).device().traffic();
}

std::string simt_report(const Backend& backend) { return simt::report(simt_traffic(backend)); }

}  // namespace lastrow
