// Operations on single elements: swiglu, gelu, add, add_bias.
//
// thread   one element i;  block of 256
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 256;

__global__ void swiglu_kernel(Global<const float> g_gate,  // [n]
                              Global<const float> g_up,    // [n]
                              Global<float> g_out,         // [n]
                              int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const float x = g_gate.load(i);
  g_out.store(i, x / (1 + expf(-x)) * g_up.load(i));
}

__global__ void gelu_kernel(Global<const float> g_x,  // [n]
                            Global<float> g_out,      // [n]
                            int64_t n) {
  constexpr float kC = 0.797884561f, kCubic = 0.044715f;  // √(2/π)
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n) return;
  const float x = g_x.load(i);
  g_out.store(i, 0.5f * x * (1 + tanhf(kC * (x + kCubic * x * x * x))));
}

__global__ void add_kernel(Global<const float> g_y,  // [n]
                           Global<float> g_x,        // [n]
                           int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) g_x.store(i, g_x.load(i) + g_y.load(i));
}

__global__ void add_bias_kernel(Global<const float> g_bias,  // [dim]
                                Global<float> g_x,           // [n / dim, dim]
                                int64_t n, int64_t dim) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) g_x.store(i, g_x.load(i) + g_bias.load(i % dim));
}

uint32_t blocks(int64_t n) { return static_cast<uint32_t>(ceil_div(n, kThreads)); }

}  // namespace

void swiglu(const float* gate, const float* up, int64_t n, float* out, Stream stream) {
  if (n == 0) return;
  launch(Kernel{"swiglu", swiglu_kernel}, {blocks(n)}, {kThreads}, 0, stream,
         Global<const float>(gate, n, "g_gate"), Global<const float>(up, n, "g_up"),
         Global<float>(out, n, "g_out"), n);
}

void gelu(const float* x, int64_t n, float* out, Stream stream) {
  if (n == 0) return;
  launch(Kernel{"gelu", gelu_kernel}, {blocks(n)}, {kThreads}, 0, stream, Global<const float>(x, n, "g_x"),
         Global<float>(out, n, "g_out"), n);
}

void add(const float* y, int64_t n, float* x, Stream stream) {
  if (n == 0) return;
  launch(Kernel{"add", add_kernel}, {blocks(n)}, {kThreads}, 0, stream, Global<const float>(y, n, "g_y"),
         Global<float>(x, n, "g_x"), n);
}

void add_bias(const float* bias, int64_t n_rows, int64_t dim, float* x, Stream stream) {
  const int64_t n = n_rows * dim;
  if (n == 0) return;
  launch(Kernel{"add_bias", add_bias_kernel}, {blocks(n)}, {kThreads}, 0, stream,
         Global<const float>(bias, dim, "g_bias"), Global<float>(x, n, "g_x"), n, dim);
}

}  // namespace lastrow::LASTROW_TARGET
