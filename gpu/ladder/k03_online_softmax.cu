// k03: one pass over the keys; each new score updates the softmax.
//
// idea     the maximum, the sum and the weighted sum of V stay in registers; when the maximum grows, both
//          sums are scaled down to it
// since    k02, which wrote every score to memory and read it back twice
// grid     x rows (token t, query head h), 4 per block
// block    4 warps, one row each, which share nothing
// group    none
// lane     d = lane, lane + 32, …  of q, K, V and out
// sums     in float, with e^x; one softmax update per key
// merge    none
// reads    K once and V once for each (t, h): group_size times as much as is needed
// scratch  none
// shared   none
// takes    f32, bf16; any group; head_dim up to 256; prefill and decode
// measured 32:8×128 b1 kv4096 bf16: 4814.5 µs, 0 % of read (k02: 13509.3 µs; H200, gpu/README.md). One pass is left of
//          three, but the wait for each key remains
// source   Milakov and Gimelshein 2018 (attention/softmax_state.h)
#include "attention/softmax_state.h"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kMaxHeadDim = 256, kDims = kMaxHeadDim / kWarpSize;  // kDims per lane: d = lane + 32 c

template <typename KV>
__global__ void k03_online_softmax(AttendOperands<KV> o) {
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;  // the row of q, out and lse
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;     // all lanes of the warp, or none
  const auto token = static_cast<int32_t>(row / o.n_q_heads);
  const auto h = static_cast<int32_t>(row % o.n_q_heads), g = h / o.group_size;
  const int32_t sequence = o.g_seq_of_token.load(token);
  const VisibleKeys keys = keys_of(o, sequence, token);
  const int64_t q = row * o.head_dim;

  float r_q[kDims] = {};    // [c] q[lane + 32 c]; 0 past head_dim
  float r_acc[kDims] = {};  // [c] Σ_s exp(score_s − row_max) v[s, d]
  for (int32_t c = 0; c < kDims; ++c)
    if (lane + c * kWarpSize < o.head_dim) r_q[c] = o.g_q.load(q + lane + c * kWarpSize);

  SoftmaxState<float> state;
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    const int64_t kv = row_offset(o.layout, slot_at(o, sequence, s), g);
    float part = 0;
    for (int32_t c = 0; c < kDims; ++c)
      if (lane + c * kWarpSize < o.head_dim) part += r_q[c] * decode(o.g_k.load(kv + lane + c * kWarpSize));
    float score = warp_sum(part) * o.score.query_factor();  // the same in each lane
    if (!o.score.only_scales()) score = finish_score(o, sequence, token, h, s, score, 1);
    const auto factor = state.merge({score, 1});
    for (int32_t c = 0; c < kDims; ++c)
      if (lane + c * kWarpSize < o.head_dim)
        r_acc[c] = r_acc[c] * factor.self + factor.other * decode(o.g_v.load(kv + lane + c * kWarpSize));
  }

  for (int32_t c = 0; c < kDims; ++c)
    if (lane + c * kWarpSize < o.head_dim)  // 0 where the query sees no key
      o.g_out.store(q + lane + c * kWarpSize, state.row_sum == 0 ? 0 : r_acc[c] / state.row_sum);
  if (lane == 0) o.g_lse.store(row, state.lse());
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.head_dim > kMaxHeadDim) return "it needs head_dim at most 256";
  return s.kv_dtype == DType::f32 || s.kv_dtype == DType::bf16 ? "" : "it needs K/V in f32 or bf16";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const int64_t n_rows = int64_t{call.task.shape.n_tokens} * call.task.shape.n_q_heads;
  if (n_rows == 0) return;
  const auto n_blocks = static_cast<uint32_t>(ceil_div(n_rows, kWarps));
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    launch(Kernel{"k03_online_softmax", k03_online_softmax<KV>}, {n_blocks}, {kThreads}, 0, stream,
           operands<KV>(call, scratch_elems(call.task)));
  });
}

}  // namespace

const Rung k03{.name = "k03",
               .parent = "k02",
               .idea = "one pass, softmax updated at each key",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
