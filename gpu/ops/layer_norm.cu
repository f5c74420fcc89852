// out[t,:] = weight ⊙ (x[t,:] − mean) / √(variance + eps) + bias, mean and variance of row t.
//
// warp     one row t;  block of 4 warps; lanes share dim
// passes   mean; variance about it; output. A sum of squares less the squared mean would need one pass less, but
//          loses the digits that the two have in common where the mean is large.
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4;

__global__ void layer_norm_kernel(Global<const float> g_x,       // [n_rows, dim]
                                  Global<const float> g_weight,  // [dim]
                                  Global<const float> g_bias,    // [dim]
                                  Global<float> g_out,           // [n_rows, dim]
                                  float eps, int64_t n_rows, int64_t dim) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_rows) return;  // the whole warp
  float sum = 0;
  for (int64_t d = lane; d < dim; d += kWarpSize) sum += g_x.load(row * dim + d);
  const float mean = warp_sum(sum) / static_cast<float>(dim);
  float squares = 0;
  for (int64_t d = lane; d < dim; d += kWarpSize) {
    const float x = g_x.load(row * dim + d) - mean;
    squares += x * x;
  }
  const float scale = 1 / sqrtf(warp_sum(squares) / static_cast<float>(dim) + eps);
  for (int64_t d = lane; d < dim; d += kWarpSize)
    g_out.store(row * dim + d,
                g_weight.load(d) * ((g_x.load(row * dim + d) - mean) * scale) + g_bias.load(d));
}

}  // namespace

void layer_norm(const float* x, const float* weight, const float* bias, float eps, int64_t n_rows,
                int64_t dim, float* out, Stream stream) {
  if (n_rows * dim == 0) return;
  launch(Kernel{"layer_norm", layer_norm_kernel}, {static_cast<uint32_t>(ceil_div(n_rows, kWarps))},
         {kWarps * kWarpSize}, 0, stream, Global<const float>(x, n_rows * dim, "g_x"),
         Global<const float>(weight, dim, "g_weight"), Global<const float>(bias, dim, "g_bias"),
         Global<float>(out, n_rows * dim, "g_out"), eps, n_rows, dim);
}

}  // namespace lastrow::LASTROW_TARGET
