// The template of lastrow-kernels with its first two changes: one warp per row, and sums in registers.
#include "attention/softmax_state.h"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 2, kPerLane = 8;  // elements of a row for each lane: head_dim is at most 256

template <typename KV>
__global__ void mine(AttendOperands<KV> o) {
  const int32_t lane = threadIdx.x % kWarpSize;
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;  // all lanes of a warp or none
  const auto token = static_cast<int32_t>(row / o.n_q_heads), h = static_cast<int32_t>(row % o.n_q_heads);
  const int32_t g = h / o.group_size;
  const int32_t sequence = o.g_seq_of_token.load(token);
  const VisibleKeys keys = keys_of(o, sequence, token);
  const int64_t q = row * o.head_dim;

  // Each lane has every 32nd element of q and of the sums, in registers.
  float r_q[kPerLane] = {}, r_acc[kPerLane] = {};
  for (int32_t j = 0, d = lane; d < o.head_dim; ++j, d += kWarpSize) r_q[j] = o.g_q.load(q + d);

  SoftmaxState<float> softmax;
  for (int32_t i = 0; i < keys.count(); ++i) {
    const int32_t s = keys.index(i);
    const int64_t kv = row_offset(o.layout, slot_at(o, sequence, s), g);
    float part = 0;
    for (int32_t j = 0, d = lane; d < o.head_dim; ++j, d += kWarpSize)
      part += r_q[j] * decode(o.g_k.load(kv + d));
    float score = warp_sum(part) * o.score.query_factor();
    if (!o.score.only_scales()) score = finish_score(o, sequence, token, h, s, score, 1);
    const auto factor = softmax.merge({score, 1});
    for (int32_t j = 0, d = lane; d < o.head_dim; ++j, d += kWarpSize)
      r_acc[j] = r_acc[j] * factor.self + factor.other * decode(o.g_v.load(kv + d));
  }

  for (int32_t j = 0, d = lane; d < o.head_dim; ++j, d += kWarpSize)
    o.g_out.store(q + d, softmax.row_sum == 0 ? 0 : r_acc[j] / softmax.row_sum);
  if (lane == 0) o.g_lse.store(row, softmax.lse());
}

std::string supports(const gpu::AttendTask& task) {
  if (task.shape.head_dim > kPerLane * kWarpSize) return "it needs head_dim at most 256";
  if (task.shape.kv_dtype == DType::f32 || task.shape.kv_dtype == DType::bf16) return "";
  return "it needs K/V in f32 or bf16";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const int64_t rows = int64_t{call.task.shape.n_tokens} * call.task.shape.n_q_heads;
  if (rows == 0) return;
  const Dim3 grid{static_cast<uint32_t>(ceil_div(rows, kWarps))}, block{kWarps * kWarpSize};
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    const auto arguments = operands<KV>(call, scratch_elems(call.task));
    launch(Kernel{"mine", mine<KV>}, grid, block, 0, stream, arguments);
  });
}

}  // namespace

const Rung mine_rung{.name = "mine",
                     .parent = "k01",
                     .idea = "one warp per row, sums in registers",
                     .supports_one_type = supports,
                     .scratch_elems = scratch_elems,
                     .launch = start};

}  // namespace lastrow::LASTROW_TARGET
