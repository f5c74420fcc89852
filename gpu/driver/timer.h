// How fast a rung is, on a device that has a speed; one implementation for each target.
//
// Replays on one buffer would measure L2: calls go round K/V copies that together are several times its size.
#pragma once

#include "gpu/backend/runtime.h"
#include "gpu/driver/runner.h"
#include "gpu/kernels/ladder.h"

namespace lastrow::LASTROW_TARGET {

driver::DeviceInfo device_info(const Runtime& runtime);
driver::Bandwidth measure_bandwidth(Runtime& runtime);
/// Decode or prefill of shape.n_seqs sequences of equal sizes, causal. The output of one call is compared
/// with that of the other rung, which multiplies exactly (n_parts 0).
driver::Timing time_rung(Runtime& runtime, const Rung& rung, const gpu::AttendShape& shape,
                         const Rung& other);

}  // namespace lastrow::LASTROW_TARGET
