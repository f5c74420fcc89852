#include "core/error.h"
#include "gpu/driver/timer.h"
#include "gpu/simt/device.h"

namespace lastrow::emulated {

driver::DeviceInfo device_info(const Runtime& runtime) { return {"emulated", runtime.description(), "", ""}; }

namespace {

[[noreturn]] void refuse() {
  throw UsageError("the emulator has no speed to measure: --time needs --target cuda and an NVIDIA GPU");
}

}  // namespace

std::vector<simt::KernelTraffic> count_traffic(Runtime& runtime, FunctionRef<void()> work) {
  constexpr int64_t kAllBlocks = 1 << 20;
  simt::Device& device = *runtime.stream();
  device.clear_traffic();
  device.watch({.report = true, .n_sample_blocks = kAllBlocks});
  try {
    work();
  } catch (...) {
    device.watch({.check = true});
    throw;
  }
  device.watch({.check = true});
  return device.traffic();
}

driver::Bandwidth measure_bandwidth(Runtime&) { refuse(); }
driver::Timing time_rung(Runtime&, const Rung&, const gpu::AttendTask&, const Rung&) { refuse(); }

}  // namespace lastrow::emulated
