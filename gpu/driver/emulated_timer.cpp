#include "core/error.h"
#include "gpu/driver/timer.h"

namespace lastrow::emulated {

driver::DeviceInfo device_info(const Runtime& runtime) { return {"emulated", runtime.description(), "", ""}; }

namespace {

[[noreturn]] void refuse() {
  throw UsageError("the emulator has no speed to measure: --time needs --target cuda and an NVIDIA GPU");
}

}  // namespace

driver::Bandwidth measure_bandwidth(Runtime&) { refuse(); }
driver::Timing time_rung(Runtime&, const Rung&, const gpu::AttendTask&, const Rung&) { refuse(); }

}  // namespace lastrow::emulated
