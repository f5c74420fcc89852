// What attention saw, for chosen heads and rows: scaled scores (−∞ where masked) and p = exp(score − lse),
// with the lse of whichever kernel attended.
//
// thread   one (h, row, s);  block of 128
#include "gpu/kernels/attend_operands.h"
#include "gpu/kernels/ops/ops.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 128;

struct Selection {
  int32_t seq, first_head, first_row, n_rows, kv_len;
};

template <typename KV>
__global__ void probe_kernel(AttendOperands<KV> o, Global<float> g_scores,
                             Global<float> g_probs,  // [n_heads, n_rows, kv_len]
                             Selection chosen, int64_t n) {
  const int64_t cell = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (cell >= n) return;
  const auto s = static_cast<int32_t>(cell % chosen.kv_len);
  const auto row = static_cast<int32_t>(cell / chosen.kv_len % chosen.n_rows);
  const auto head = static_cast<int32_t>(cell / chosen.kv_len / chosen.n_rows);
  const int32_t token = chosen.first_row + row, h = chosen.first_head + head, g = h / o.group_size;
  const KeyRange keys = keys_of(o, chosen.seq, token);

  float score = kMinusInfinity, p = 0;
  if (s >= keys.begin && s < keys.end) {
    const int64_t slot = slot_at(o, chosen.seq, s), k = row_offset(o.layout, slot, g);
    const int64_t q = (int64_t{token} * o.n_q_heads + h) * o.head_dim;
    float k_scale = 1;
    if constexpr (std::is_same_v<KV, int8_t>) k_scale = o.g_k_scales.load(scale_offset(o.layout, slot, g));
    score = 0;
    for (int32_t d = 0; d < o.head_dim; ++d) score += o.g_q.load(q + d) * decode(o.g_k.load(k + d), k_scale);
    score *= o.scale;
    const float lse = o.g_lse.load(int64_t{token} * o.n_q_heads + h);
    p = lse == kMinusInfinity ? 0 : expf(score - lse);
  }
  g_scores.store(cell, score);
  g_probs.store(cell, p);
}

}  // namespace

void probe(const ProbeCall& c, Stream stream) {
  const int64_t n = int64_t{c.n_heads} * c.n_rows * c.kv_len;
  if (n == 0) return;
  with_kv_type<float, Half, BFloat16, Fp8E4M3, int8_t>(c.attend.shape.kv_dtype, [&]<typename KV>(KV) {
    launch(Kernel{"probe", probe_kernel<KV>}, {static_cast<uint32_t>(ceil_div(n, kThreads))}, {kThreads}, 0,
           stream, operands<KV>(c.attend, 0), Global<float>(c.scores, n, "g_scores"),
           Global<float>(c.probs, n, "g_probs"),
           Selection{c.seq, c.first_head, c.first_row, c.n_rows, c.kv_len}, n);
  });
}

}  // namespace lastrow::LASTROW_TARGET
