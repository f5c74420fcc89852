// k01: one thread computes one row in three passes, in the order of the formula.
//
// idea     pass 1: the scores and their maximum; pass 2: the sum of their exponentials; pass 3: the weighted
//          sum of V
// since    none: this is the first rung
// grid     x rows (token t, query head h), 128 per block
// block    128 threads, which share nothing
// group    none
// lane     one row (t, h)
// sums     in float, with e^x; the same three passes as attend_row in backend/naive.cpp
// merge    none
// reads    K once and V once for each (t, h): group_size times as much as is needed. Each lane reads a row of
//          its own
// scratch  scores [n_tokens, n_q_heads, max_kv_len]
// shared   none
// takes    f32, bf16; any group; any head_dim; prefill and decode
// measured 32:8×128 b1 kv4096 bf16: 280030.3 µs, 0 % of read (H200, gpu/README.md). Neighbouring lanes read rows that
//          are far apart: every 4 bytes move a sector of 32. Each exponential is computed again for each d
// source   Vaswani et al. 2017, "Attention Is All You Need", eq. 1
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 128;

template <typename KV>
__global__ void k01_naive(AttendOperands<KV> o) {
  const int64_t row = int64_t{blockIdx.x} * kThreads + threadIdx.x;  // the row of q, out, lse and scratch
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;
  const auto token = static_cast<int32_t>(row / o.n_q_heads);
  const auto h = static_cast<int32_t>(row % o.n_q_heads), g = h / o.group_size;
  const int32_t sequence = o.g_seq_of_token.load(token);
  const VisibleKeys keys = keys_of(o, sequence, token);
  const int64_t q = row * o.head_dim, scores = row * o.max_kv_len;

  float row_max = kMinusInfinity;
  bool sees = false;  // some score is not −∞
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    const int64_t k = row_offset(o.layout, slot_at(o, sequence, s), g);
    float score = 0;
    for (int32_t d = 0; d < o.head_dim; ++d) score += o.g_q.load(q + d) * decode(o.g_k.load(k + d));
    score *= o.score.query_factor();
    if (!o.score.only_scales()) score = finish_score(o, sequence, token, h, s, score, 1);
    o.g_scratch.store(scores + i, score);
    if (score > row_max) row_max = score;
    sees = sees || score != kMinusInfinity;
  }
  const int32_t n = sees ? keys.count() : 0;

  float row_sum = 0;
  for (int32_t i = 0; i < n; ++i) row_sum += expf(o.g_scratch.load(scores + i) - row_max);

  for (int32_t d = 0; d < o.head_dim; ++d) {
    float acc = 0;
    for (int32_t i = 0; i < n; ++i) {
      const int64_t v = row_offset(o.layout, slot_at(o, sequence, keys.index(i)), g);
      acc += expf(o.g_scratch.load(scores + i) - row_max) / row_sum * decode(o.g_v.load(v + d));
    }
    o.g_out.store(q + d, acc);  // 0 where the query sees no key
  }
  o.g_lse.store(row, sees ? row_max + logf(row_sum) : kMinusInfinity);
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
  const auto n_blocks = static_cast<uint32_t>(ceil_div(n_rows, kThreads));
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    launch(Kernel{"k01_naive", k01_naive<KV>}, {n_blocks}, {kThreads}, 0, stream,
           operands<KV>(call, scratch_elems(call.task)));
  });
}

}  // namespace

const Rung k01{.name = "k01",
               .parent = "",
               .idea = "three passes, one thread per row",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
