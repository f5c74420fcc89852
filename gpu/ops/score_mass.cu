// The softmax weights that each stored row got in a step, summed over queries and heads. They come from the scores
// and from the lse that attend wrote.
//
// warp     one index s of one sequence;  block of 4 warps, all of one sequence;  lanes take every 32nd (query, head)
//
// A warp adds in a fixed order, so the bits do not depend on the rest of the step. The grid covers the whole
// table, so one recorded graph serves every length, and indices behind kv_len get 0.
#include "gpu/ops/ops.h"
#include "gpu/parts/one_score.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

template <typename KV>
__global__ void score_mass_kernel(AttendOperands<KV> o,
                                  Global<const Half> g_group_scales,  // of K, if KV has groups
                                  Global<float> g_mass,               // [n_seqs, keys_per_seq]
                                  int32_t keys_per_seq) {
  const auto blocks_per_seq = static_cast<int32_t>(ceil_div(keys_per_seq, kWarps)),
             block = static_cast<int32_t>(blockIdx.x), warp = static_cast<int32_t>(threadIdx.x / kWarpSize);
  const int32_t seq = block / blocks_per_seq, s = block % blocks_per_seq * kWarps + warp;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (s >= keys_per_seq) return;  // the whole warp
  float mass = 0;
  if (s < o.g_kv_len.load(seq)) {
    const int32_t first = o.g_q_start.load(seq), n = (o.g_q_start.load(seq + 1) - first) * o.n_q_heads;
    for (int32_t i = lane; i < n; i += kWarpSize) {
      const int32_t token = first + i / o.n_q_heads, h = i % o.n_q_heads;
      const float lse = o.g_lse.load(int64_t{token} * o.n_q_heads + h);
      if (lse == kMinusInfinity || !keys_of(o, seq, token).sees(s)) continue;
      const float p = expf(score_of(o, g_group_scales, seq, token, h, s) - lse);
      mass += p > 1 ? 1.0f : p;  // NaN stays NaN
    }
  }
  mass = warp_sum(mass);
  if (lane == 0) g_mass.store(int64_t{seq} * keys_per_seq + s, mass);
}

}  // namespace

void score_mass(const gpu::AttendCall& c, float* mass, Stream stream) {
  const gpu::AttendShape& shape = c.task.shape;
  const int32_t keys_per_seq = shape.blocks_per_seq * shape.block_len;
  if (shape.n_seqs == 0 || keys_per_seq == 0) return;
  const int64_t n_scales = shape.n_blocks * shape.n_kv_heads * shape.block_len * n_groups(shape.head_dim);
  with_kv_type<float, Half, BFloat16, Fp8E4M3, int8_t, Fp4x2, Int4x2>(shape.kv_dtype.k, [&]<typename KV>(KV) {
    launch(Kernel{"score_mass", score_mass_kernel<KV>},
           {static_cast<uint32_t>(ceil_div(keys_per_seq, kWarps) * shape.n_seqs)}, {kThreads}, 0, stream,
           operands<KV>(c, 0),
           Global<const Half>(static_cast<const Half*>(c.k_scales), n_scales, "g_k_scales"),
           Global<float>(mass, int64_t{shape.n_seqs} * keys_per_seq, "g_mass"), keys_per_seq);
  });
}

}  // namespace lastrow::LASTROW_TARGET
