// k07b: each lane sums the score of one head, and computes its exponentials.
//
// idea     in k07a all lanes of a group hold the same score and compute the same exponential for each head. The
//          heads are dealt to the lanes instead, so this work is done once
// since    k07a: r_q, loads and sums are those of lane_rows.h, where a lane gives away half of its heads in each
//          step of a sum. K and V stay packed in registers until they are used, so 4 keys are in flight
// grid     as k07a
// block    as k07a
// group    of lanes: one key row s
// lane     16 bytes of a row of K and of V; the same d of q and acc; the softmax of one head (lane_rows.h)
// sums     in float, with 2^x; one softmax update per tile of kRowsAhead keys per group
// merge    the groups of a warp by shuffles; the splits as k07a
// reads    as k07a; each group has kRowsAhead rows of K and of V in flight
// scratch  as k07a
// shared   none
// takes    f32, bf16; rows of a multiple of 16 bytes; any group; head_dim up to 128, computed as 64 or 128;
//          decode and prefill. No soft cap, ALiBi or sinks, as k07a
// measured not yet. Groups of 8 should be as fast as memory allows, where k07a's exponentials take longer
// source   lane_rows.h
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kHeads = 8, kBlocks = 2;  // of a chunk; at once on a multiprocessor

template <typename KV>
constexpr int32_t kVec = 16 / sizeof(KV);  // elements per load

struct SplitTile {
  static constexpr int32_t kTileKeys = kWarpSize;  // splits are counted in so many keys
};

template <typename KV, int32_t kWidth>
__global__ void __launch_bounds__(kThreads, kBlocks)
    k07b_dealt_heads(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec<KV>>;
  const int32_t n_groups = kWarpSize / Rows::kLanes;
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int32_t group = lane / Rows::kLanes;

  const int32_t n_kv_heads = o.layout.n_kv_heads, n_chunks = (o.group_size + kHeads - 1) / kHeads;
  const int64_t task = int64_t{blockIdx.x} * kWarps + warp;  // [n_tokens, n_splits, n_kv_heads, n_chunks]
  if (task >= int64_t{o.n_tokens} * plan.n_splits * n_kv_heads * n_chunks) return;  // all lanes, or none
  const auto chunk = static_cast<int32_t>(task % n_chunks);
  const auto g = static_cast<int32_t>(task / n_chunks % n_kv_heads);
  const auto split = static_cast<int32_t>(task / n_chunks / n_kv_heads % plan.n_splits);
  const auto token = static_cast<int32_t>(task / n_chunks / n_kv_heads / plan.n_splits);
  const int32_t n_left = o.group_size - chunk * kHeads, n_heads = n_left < kHeads ? n_left : kHeads;
  const int64_t row0 = int64_t{token} * o.n_q_heads + g * o.group_size + chunk * kHeads;  // the row of head 0
  const int32_t sequence = o.g_seq_of_token.load(token);
  KeyRange keys = keys_of(o, sequence, token).range(1);
  const int32_t split_len = plan.tiles_per_split * SplitTile::kTileKeys;
  const int32_t first = keys.begin / SplitTile::kTileKeys * SplitTile::kTileKeys + split * split_len;
  keys = {first > keys.begin ? first : keys.begin,
          first + split_len < keys.end ? first + split_len : keys.end};

  float r_q[kHeads][Rows::kElems];
  load_query<Rows>(o, token, g * o.group_size + chunk * kHeads, n_heads, r_q);
  GroupState<Rows, kHeads> state;
  const int32_t tile = n_groups * kRowsAhead, skipped = skipped_at(o, sequence, keys.begin);
  for (int32_t s0 = keys.begin / tile * tile; s0 < keys.end; s0 += tile) {
    Packed<KV, kVec<KV>> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
    bool seen[kRowsAhead];
    for (int32_t j = 0; j < kRowsAhead; ++j) {
      const int32_t s = s0 + j * n_groups + group;
      seen[j] = s >= keys.begin && s < keys.end;
      int64_t row = 0;
      if (seen[j]) row = row_at(o, sequence, s + skipped, g) * o.head_dim;
      load_row<Rows, KV>(o.g_k, row, seen[j], o.head_dim, r_k[j]);
      load_row<Rows, KV>(o.g_v, row, seen[j], o.head_dim, r_v[j]);
    }

    float r_x[kHeads][kRowsAhead], r_row[Rows::kElems];
    for (int32_t j = 0; j < kRowsAhead; ++j) {
      widen_row<Rows, KV>(r_k[j], r_row);
      for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_row);
    }
    sum_scores<Rows>(r_x);
    for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] = seen[j] ? r_x[0][j] : kMinusInfinity;
    state.take_scores(r_x);
    state.spread_weights(r_x);
    for (int32_t j = 0; j < kRowsAhead; ++j) {
      for (int32_t v = 0; v < Rows::kVecs; ++v) stay_narrow_until(r_x[0][0], r_v[j][v]);
      widen_row<Rows, KV>(r_v[j], r_row);
      for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_row);
    }
  }

  state.merge_groups();
  const SoftmaxState<float> all{state.softmax.row_max * kLn2, state.softmax.row_sum};  // of the own head
  const int32_t own = Rows::template own_head<kHeads>();
  const Global<float> g_acc = plan.n_splits == 1 ? o.g_out : partials.g_acc;
  LASTROW_UNROLL
  for (int32_t slot = 0; slot < kHeads; ++slot) {
    const float norm = of_slot<Rows, kHeads>(slot, norm_of(plan, all));
    const int32_t h = slot ^ own;
    const int64_t to = (row0 + h) * plan.n_splits + split;
    for (int32_t e = 0; e < Rows::kElems; ++e) {
      const int32_t d = Rows::dim(e / Rows::kLoad) + e % Rows::kLoad;
      if (group == 0 && h < n_heads && d < o.head_dim)
        g_acc.store(to * o.head_dim + d, state.acc[slot][e] * norm);
    }
  }
  if (group == 0 && lane % Rows::template kSpan<kHeads> == 0 && own < n_heads)
    store_state(o, plan, partials, row0 + own, split, all);
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  if (const std::string why_not = s.beyond_a_scale_and_a_window(); !why_not.empty()) return why_not;
  if (s.head_dim > 128) return "it needs head_dim at most 128";
  const auto row_bytes = s.head_dim * static_cast<int32_t>(size_of(s.kv_dtype.k));
  return row_bytes % 16 == 0 ? "" : "it needs rows of K and V that are a multiple of 16 bytes";
}

constexpr SplitKernel kKernel{gpu::SplitKind::loads, kBlocks* kWarps};  // its unit is a warp, not a block

int64_t scratch_elems(const gpu::AttendTask& task) {
  return partial_elems(task.shape, plan_of<SplitTile, kHeads>(task, kKernel));
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    const SplitPlan plan = plan_of<SplitTile, kHeads>(call.task, kKernel, call.spec.mask);
    const int64_t n_tasks =
        int64_t{s.n_tokens} * plan.n_splits * s.n_kv_heads * ceil_div(s.group_size(), kHeads);
    const auto kernel = s.head_dim <= 64 ? k07b_dealt_heads<KV, 64> : k07b_dealt_heads<KV, 128>;
    launch(Kernel{"k07b_dealt_heads", kernel}, {static_cast<uint32_t>(ceil_div(n_tasks, kWarps))}, {kThreads},
           0, stream, operands<KV>(call, 0), plan, partials_in(call, plan));
    merge_splits(call, plan, stream);
  });
}

}  // namespace

const Rung k07b{.name = "k07b",
                .parent = "k07a",
                .idea = "each lane scores one head",
                .supports_one_type = supports,
                .scratch_elems = scratch_elems,
                .launch = start};

}  // namespace lastrow::LASTROW_TARGET
