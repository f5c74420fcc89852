// Reads device memory, 16 bytes at a time, and does not keep what it read.
#pragma once

#include <cstdint>

#include "gpu/target/stream.h"

namespace lastrow::cuda {

/// The orders in which the blocks can read. None is the fastest on every GPU.
inline constexpr int32_t kReadOrders = 4;

/// data and bytes are multiples of 16; order is below kReadOrders. *sum is almost never written.
void start_read_all(const void* data, int64_t bytes, uint32_t* sum, int32_t n_blocks, int32_t order,
                    Stream stream);

}  // namespace lastrow::cuda
