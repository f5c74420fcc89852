// out[t,:] = weight ⊙ x[t,:] / √(mean(x[t,:]²) + eps).
//
// warp     one row t;  block of 4 warps; lanes share dim
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4;

__global__ void rms_norm_kernel(Global<const float> g_x,       // [n_rows, dim]
                                Global<const float> g_weight,  // [dim]
                                Global<float> g_out,           // [n_rows, dim]
                                float eps, int64_t n_rows, int64_t dim) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_rows) return;  // the whole warp
  float squares = 0;
  for (int64_t d = lane; d < dim; d += kWarpSize) {
    const float x = g_x.load(row * dim + d);
    squares += x * x;
  }
  const float scale = 1 / sqrtf(warp_sum(squares) / static_cast<float>(dim) + eps);
  for (int64_t d = lane; d < dim; d += kWarpSize)
    g_out.store(row * dim + d, g_weight.load(d) * (g_x.load(row * dim + d) * scale));
}

}  // namespace

void rms_norm(const float* x, const float* weight, float eps, int64_t n_rows, int64_t dim, float* out,
              Stream stream) {
  if (n_rows * dim == 0) return;
  launch(Kernel{"rms_norm", rms_norm_kernel}, {static_cast<uint32_t>(ceil_div(n_rows, kWarps))},
         {kWarps * kWarpSize}, 0, stream, Global<const float>(x, n_rows * dim, "g_x"),
         Global<const float>(weight, dim, "g_weight"), Global<float>(out, n_rows * dim, "g_out"), eps, n_rows,
         dim);
}

}  // namespace lastrow::LASTROW_TARGET
