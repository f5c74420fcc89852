// Turns each pair of a head's places by its token's angle, in place. Source: Su et al. 2021, "RoFormer".
//
// thread   one pair (t, h, d);  block of 256
// pairs    (d, d + head_dim/2), or (2d, 2d + 1) where the table says interleaved
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 256;

__global__ void rope_kernel(Global<const float> g_cos, Global<const float> g_sin,  // [max_seq_len, half]
                            Global<const int32_t> g_positions,                     // [n_tokens]
                            Global<float> g_x,  // [n_tokens, n_heads, head_dim]
                            int64_t n_pairs, int32_t n_heads, int32_t half, bool interleaved) {
  const int64_t pair = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (pair >= n_pairs) return;
  const int64_t row = pair / half, d = pair % half;  // row: (t, h) of g_x
  const int64_t angle = int64_t{g_positions.load(row / n_heads)} * half + d;
  const int64_t first = row * 2 * half + (interleaved ? 2 * d : d), second = first + (interleaved ? 1 : half);
  const float cos = g_cos.load(angle), sin = g_sin.load(angle);
  const float a = g_x.load(first), b = g_x.load(second);
  g_x.store(first, a * cos - b * sin);
  g_x.store(second, a * sin + b * cos);
}

}  // namespace

void rope(const RopeCall& c, Stream stream) {
  const int32_t half = c.head_dim / 2;
  const int64_t n_pairs = int64_t{c.n_tokens} * c.n_heads * half, table = int64_t{c.max_seq_len} * half;
  if (n_pairs == 0) return;
  launch(Kernel{"rope", rope_kernel}, {static_cast<uint32_t>(ceil_div(n_pairs, kThreads))}, {kThreads}, 0,
         stream, Global<const float>(c.cos, table, "g_cos"), Global<const float>(c.sin, table, "g_sin"),
         Global<const int32_t>(c.positions, c.n_tokens, "g_positions"),
         Global<float>(c.x, 2 * n_pairs, "g_x"), n_pairs, c.n_heads, half, c.interleaved);
}

}  // namespace lastrow::LASTROW_TARGET
