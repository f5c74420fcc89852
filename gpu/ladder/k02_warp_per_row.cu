// k02: one warp computes one row, so neighbouring lanes read neighbouring elements.
//
// idea     the 32 lanes of a warp divide head_dim among them; shuffles add their parts to a score
// since    k01, where each lane walked along a row of its own: 32 lanes moved 32 sectors for 32 elements
// grid     x rows (token t, query head h), 4 per block
// block    4 warps, one row each, which share nothing
// group    none
// lane     d = lane, lane + 32, …  of K and V;  s = begin + lane, … of the sum of exponentials
// sums     in float, with e^x; the three passes of k01
// merge    none
// reads    K once and V once for each (t, h): group_size times as much as is needed
// scratch  scores [n_tokens, n_q_heads, max_kv_len]
// shared   none
// takes    f32, bf16; any group; any head_dim; prefill and decode
// measured 32:8×128 b1 kv4096 bf16: 13509.3 µs, 0 % of read (H200, gpu/README.md). Each sector is used whole now, but
//          each key waits for its own five shuffles, and 32 warps leave most of the GPU idle
// source   CUDA C++ Programming Guide, "Warp Shuffle Functions"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

template <typename KV>
__global__ void k02_warp_per_row(AttendOperands<KV> o) {
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;  // the row of q, out, lse and scratch
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;     // all lanes of the warp, or none
  const auto token = static_cast<int32_t>(row / o.n_q_heads);
  const auto h = static_cast<int32_t>(row % o.n_q_heads), g = h / o.group_size;
  const int32_t sequence = o.g_seq_of_token.load(token);
  const VisibleKeys keys = keys_of(o, sequence, token);
  const int64_t q = row * o.head_dim, scores = row * o.max_kv_len;

  float row_max = kMinusInfinity;
  bool sees = false;  // some score is not −∞; the same in each lane
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    const int64_t k = row_offset(o.layout, slot_at(o, sequence, s), g);
    float part = 0;
    for (int32_t d = lane; d < o.head_dim; d += kWarpSize)
      part += o.g_q.load(q + d) * decode(o.g_k.load(k + d));
    float score = warp_sum(part) * o.score.query_factor();  // the same in each lane
    if (!o.score.only_scales()) score = finish_score(o, sequence, token, h, s, score, 1);
    if (lane == 0) o.g_scratch.store(scores + i, score);
    if (score > row_max) row_max = score;
    sees = sees || score != kMinusInfinity;
  }
  const int32_t n = sees ? keys.count() : 0;
  __syncwarp();  // lane 0's scores are written before the other lanes read them

  float row_sum = 0;
  for (int32_t i = lane; i < n; i += kWarpSize) row_sum += expf(o.g_scratch.load(scores + i) - row_max);
  row_sum = warp_sum(row_sum);

  for (int32_t d = lane; d < o.head_dim; d += kWarpSize) {
    float acc = 0;
    for (int32_t i = 0; i < n; ++i) {
      const int64_t v = row_offset(o.layout, slot_at(o, sequence, keys.index(i)), g);
      acc += expf(o.g_scratch.load(scores + i) - row_max) / row_sum * decode(o.g_v.load(v + d));
    }
    o.g_out.store(q + d, acc);  // 0 where the query sees no key
  }
  if (lane == 0) o.g_lse.store(row, sees ? row_max + logf(row_sum) : kMinusInfinity);
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  return s.kv_dtype == DType::f32 || s.kv_dtype == DType::bf16 ? "" : "it needs K/V in f32 or bf16";
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  return int64_t{s.n_tokens} * s.n_q_heads * s.max_kv_len;
}

void start(const gpu::AttendCall& call, Stream stream) {
  const int64_t n_rows = int64_t{call.task.shape.n_tokens} * call.task.shape.n_q_heads;
  if (n_rows == 0) return;
  const auto n_blocks = static_cast<uint32_t>(ceil_div(n_rows, kWarps));
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    launch(Kernel{"k02_warp_per_row", k02_warp_per_row<KV>}, {n_blocks}, {kThreads}, 0, stream,
           operands<KV>(call, scratch_elems(call.task)));
  });
}

}  // namespace

const Rung k02{.name = "k02",
               .parent = "k01",
               .idea = "one warp per row, sums by shuffles",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
