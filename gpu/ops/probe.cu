// What attention saw, for chosen heads and rows: scaled scores (−∞ where masked), and the softmax of these
// scores. How far their log-sum-exp is from that of whichever kernel attended is said beside.
//
// warp     one (h, row);  block of 4 warps;  lanes take every 32nd key, in three passes:
//            1  scores and their maximum     2  exponentials and their sum     3  probabilities
//          Each lane reads back only what it has written itself.
#include "cache/kv_groups.h"
#include "gpu/ops/ops.h"
#include "gpu/parts/one_score.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

struct Selection {
  int32_t seq, first_head, first_row, n_rows, kv_len;
  bool wants_distance;
};

/// |own lse − written|; 0 where both are the same infinity or both NaN.
__device__ inline float lse_difference(float row_max, float log_sum, float written) {
  const float own = row_max + log_sum;
  if (own == written || (own != own && written != written)) return 0;
  return fabsf((row_max - written) + log_sum);  // in this order nothing is lost where scores are large
}

template <typename KV>
__global__ void probe_kernel(AttendOperands<KV> o,
                             Global<const Half> g_group_scales,  // of K, if KV has groups
                             Global<float> g_scores,
                             Global<float> g_probs,         // [n_heads, n_rows, kv_len]
                             Global<float> g_lse_distance,  // [n_heads, n_rows], if wanted
                             Selection chosen, int64_t n_selected) {
  const int64_t selected = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (selected >= n_selected) return;  // the whole warp
  const int32_t token = chosen.first_row + static_cast<int32_t>(selected % chosen.n_rows),
                h = chosen.first_head + static_cast<int32_t>(selected / chosen.n_rows);
  const VisibleKeys keys = keys_of(o, chosen.seq, token);
  const int64_t first_cell = selected * chosen.kv_len;

  float row_max = kMinusInfinity;
  for (int32_t s = lane; s < chosen.kv_len; s += kWarpSize) {
    const bool is_visible = keys.sees(s);
    const float score = is_visible ? score_of(o, g_group_scales, chosen.seq, token, h, s) : kMinusInfinity;
    g_scores.store(first_cell + s, score);
    row_max = score > row_max ? score : row_max;  // NaN shows in the sum
  }
  row_max = warp_max(row_max);

  const float base = row_max == kMinusInfinity ? 0 : row_max;  // (−∞) − (−∞) would be NaN
  float row_sum = 0;
  for (int32_t s = lane; s < chosen.kv_len; s += kWarpSize) {
    const bool is_visible = keys.sees(s);
    const float p = is_visible ? expf(g_scores.load(first_cell + s) - base) : 0;
    g_probs.store(first_cell + s, p);
    row_sum += p;
  }
  row_sum = warp_sum(row_sum);

  for (int32_t s = lane; s < chosen.kv_len; s += kWarpSize) {
    const bool is_visible = keys.sees(s);
    if (is_visible && row_sum != 0) g_probs.store(first_cell + s, g_probs.load(first_cell + s) / row_sum);
  }
  if (lane == 0 && chosen.wants_distance) {
    const float written = o.g_lse.load(int64_t{token} * o.n_q_heads + h);
    g_lse_distance.store(selected, row_sum == 0 ? lse_difference(kMinusInfinity, 0, written)
                                                : lse_difference(base, logf(row_sum), written));
  }
}

}  // namespace

void probe(const ProbeCall& c, Stream stream) {
  const int64_t n_selected = int64_t{c.n_heads} * c.n_rows, n_cells = n_selected * c.kv_len;
  if (n_selected == 0) return;
  const gpu::AttendShape& shape = c.attend.task.shape;
  const int64_t n_scales = shape.n_blocks * shape.n_kv_heads * shape.block_len * n_groups(shape.head_dim);
  with_kv_type<float, Half, BFloat16, Fp8E4M3, int8_t, Fp4x2, Int4x2>(shape.kv_dtype.k, [&]<typename KV>(KV) {
    launch(Kernel{"probe", probe_kernel<KV>}, {static_cast<uint32_t>(ceil_div(n_selected, kWarps))},
           {kThreads}, 0, stream, operands<KV>(c.attend, 0),
           Global<const Half>(static_cast<const Half*>(c.attend.k_scales), n_scales, "g_k_scales"),
           Global<float>(c.scores, n_cells, "g_scores"), Global<float>(c.probs, n_cells, "g_probs"),
           Global<float>(c.lse_distance, n_selected, "g_lse_distance"),
           Selection{c.seq, c.first_head, c.first_row, c.n_rows, c.kv_len, c.lse_distance != nullptr},
           n_selected);
  });
}

}  // namespace lastrow::LASTROW_TARGET
