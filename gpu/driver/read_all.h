// Reads device memory, 16 bytes at a time, and does not keep what it read.
#pragma once

#include <cstdint>

#include "gpu/kernels/stream.h"

namespace lastrow::cuda {

/// data and bytes are multiples of 16. *sum is almost never written.
void start_read_all(const void* data, int64_t bytes, uint32_t* sum, int32_t n_blocks, Stream stream);

}  // namespace lastrow::cuda
