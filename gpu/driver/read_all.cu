// Measures the read bandwidth that attention's traffic is compared with: a kernel that only reads memory.
#include "gpu/driver/read_all.h"

#include "gpu/kernels/target.h"

namespace lastrow::cuda {
namespace {

constexpr int32_t kThreads = 512, kLoadsAhead = 4;  // 16 warps · 32 lanes · 16 bytes · 4 = 32 KiB a block

__global__ void __launch_bounds__(kThreads) read_all(const uint4* g_data, int64_t n, uint32_t* g_sum) {
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  uint32_t sum = 0;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < n; i += stride * kLoadsAhead) {
    uint4 r_x[kLoadsAhead];
#pragma unroll
    for (int32_t j = 0; j < kLoadsAhead; ++j) r_x[j] = i + j * stride < n ? g_data[i + j * stride] : uint4{};
#pragma unroll
    for (int32_t j = 0; j < kLoadsAhead; ++j) sum ^= r_x[j].x ^ r_x[j].y ^ r_x[j].z ^ r_x[j].w;
  }
  if (sum == 0x9E3779B9u) *g_sum = sum;  // almost never true; without it the compiler could remove the reads
}

}  // namespace

void start_read_all(const void* data, int64_t bytes, uint32_t* sum, int32_t n_blocks, Stream stream) {
  launch(Kernel{"read_all", read_all}, {static_cast<uint32_t>(n_blocks)}, {kThreads}, 0, stream,
         static_cast<const uint4*>(data), bytes / 16, sum);
}

}  // namespace lastrow::cuda
