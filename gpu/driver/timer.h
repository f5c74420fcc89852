// Measures how fast a rung is, and counts what it requests from memory; one implementation per target. Only
// the one for a GPU can measure, and only the one for the emulator can count.
//
// Calls on one buffer would measure L2. So they go round several copies of K/V, which together are several
// times as large as L2.
#pragma once

#include "core/function_ref.h"
#include "gpu/backend/runtime.h"
#include "gpu/driver/runner.h"
#include "gpu/ladder/ladder.h"

namespace lastrow::LASTROW_TARGET {

driver::DeviceInfo device_info(const Runtime& runtime);
driver::Bandwidth measure_bandwidth(Runtime& runtime);
/// The traffic of the kernels that work() launches, in all of their blocks.
std::vector<simt::KernelTraffic> count_traffic(Runtime& runtime, FunctionRef<void()> work);
/// Times a causal decode or prefill of task.shape.n_seqs sequences of one size. The output of one call is compared
/// with that of the other rung, which multiplies exactly (n_parts 0).
driver::Timing time_rung(Runtime& runtime, const Rung& rung, const gpu::AttendTask& task, const Rung& other);

}  // namespace lastrow::LASTROW_TARGET
