// Measures the read bandwidth that attention's traffic is compared with: a kernel that only reads memory.
#include "gpu/driver/read_all.h"

#include "gpu/target/target.h"

namespace lastrow::cuda {
namespace {

constexpr int32_t kThreads = 512;  // with 4 loads ahead: 16 warps · 32 lanes · 16 bytes · 4 = 32 KiB a block

/// Vectors of 16 bytes [begin, end) of g_data, kLoadsAhead of them requested before the first is used.
template <int32_t kLoadsAhead>
__device__ uint32_t read_range(const uint4* g_data, int64_t begin, int64_t end, int64_t stride) {
  uint32_t sum = 0;
  for (int64_t i = begin + threadIdx.x; i < end; i += stride * kLoadsAhead) {
    uint4 r_x[kLoadsAhead];
#pragma unroll
    for (int32_t j = 0; j < kLoadsAhead; ++j)
      r_x[j] = i + j * stride < end ? __ldcs(g_data + i + j * stride) : uint4{};
#pragma unroll
    for (int32_t j = 0; j < kLoadsAhead; ++j) sum ^= r_x[j].x ^ r_x[j].y ^ r_x[j].z ^ r_x[j].w;
  }
  return sum;
}

/// strips: all blocks read side by side, and move on together. Otherwise each block reads a range of its own.
template <bool kStrips, int32_t kLoadsAhead>
__global__ void __launch_bounds__(kThreads) read_all(const uint4* g_data, int64_t n, uint32_t* g_sum) {
  const int64_t per_block = (n + gridDim.x - 1) / gridDim.x, first = blockIdx.x * per_block;
  const uint32_t sum =
      kStrips
          ? read_range<kLoadsAhead>(g_data, int64_t{blockIdx.x} * kThreads, n, int64_t{gridDim.x} * kThreads)
          : read_range<kLoadsAhead>(g_data, first, first + per_block < n ? first + per_block : n, kThreads);
  if (sum == 0x9E3779B9u) *g_sum = sum;  // almost never true; without it the compiler could remove the reads
}

using ReadAll = void (*)(const uint4*, int64_t, uint32_t*);
constexpr ReadAll kOrders[kReadOrders] = {read_all<true, 4>, read_all<true, 8>, read_all<false, 4>,
                                          read_all<false, 8>};

}  // namespace

void start_read_all(const void* data, int64_t bytes, uint32_t* sum, int32_t n_blocks, int32_t order,
                    Stream stream) {
  launch(Kernel{"read_all", kOrders[order]}, {static_cast<uint32_t>(n_blocks)}, {kThreads}, 0, stream,
         static_cast<const uint4*>(data), bytes / 16, sum);
}

}  // namespace lastrow::cuda
