// Reads bytes of device memory, 16 at a time, and keeps nothing of them.
#pragma once

#include <cstdint>

#include "gpu/kernels/stream.h"

namespace lastrow::cuda {

/// data and bytes in multiples of 16; sum is written hardly ever.
void start_read_all(const void* data, int64_t bytes, uint32_t* sum, int32_t n_blocks, Stream stream);

}  // namespace lastrow::cuda
