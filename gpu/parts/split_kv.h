// Splits the keys over blocks: what k07 and the rungs built on it do before and after their loop.
//
//   grid   x (token, split, chunk of at most kHeads query heads), y K/V head; within x the chunk is fastest
//
//   const Part part = part_of<Rows, kHeads>(o, plan);       the keys and query heads of this block
//   … a GroupState over the keys [part.begin, part.end) …
//   finish<Rows>(o, plan, partials, part, state);           writes the output, or a partial for merge_splits
//
// A split is tiles_per_split tiles, counted from the first tile that the query sees. Tiles are counted from
// index 0, so where a row is in storage changes nothing. A split without keys still writes its partial: acc
// 0, row_max −∞. If there is only one split, it writes the output itself and no merge is launched. The chunks
// of a K/V head read the same keys. They run side by side, so what one has read is in L2 for the others.
#pragma once

#include "attention/softmax_state.h"
#include "gpu/parts/lane_rows.h"
#include "gpu/parts/split_plan.h"

namespace lastrow::LASTROW_TARGET {

using gpu::SplitPlan;

/// How many blocks of k07 … k10 the registers of a multiprocessor have room for. The kernels are compiled for
/// this number (__launch_bounds__), and their splits are planned for it. It is as large as possible without
/// spills, and 2 where head_dim is above 128, which is not tuned.
constexpr int32_t blocks_at_once(int32_t elem_bytes, int32_t width, int32_t n_heads) {
  constexpr int32_t kBlocks[3][3] = {{6, 4, 4},   // 1 head: f32, 16 bits, 8 bits
                                     {4, 3, 2},   // 4 heads
                                     {3, 2, 2}};  // 8 heads
  if (width > 128) return 2;
  return kBlocks[n_heads == 1 ? 0 : n_heads / 4][elem_bytes == 4 ? 0 : 3 - elem_bytes];
}
template <typename KV, int32_t kWidth, int32_t kHeads>
constexpr int32_t kBlocksAtOnce = blocks_at_once(sizeof(KV), kWidth, kHeads);

/// The states of all splits in the call's scratch, to be merged. A row is (token, query head).
struct Partials {
  Global<float> g_acc;      // [n_rows, n_splits, head_dim]   Σ exp(score − row_max) · v
  Global<float> g_row_max;  // [n_rows, n_splits]
  Global<float> g_row_sum;  // [n_rows, n_splits]
};

inline int64_t partial_elems(const gpu::AttendShape& s, SplitPlan plan) {
  return plan.n_splits == 1 ? 0 : int64_t{plan.n_splits} * s.n_tokens * s.n_q_heads * (s.head_dim + 2);
}

inline Partials partials_in(const gpu::AttendCall& c, SplitPlan plan) {
  if (plan.n_splits == 1) return {};
  const gpu::AttendShape& s = c.task.shape;
  const int64_t n = int64_t{plan.n_splits} * s.n_tokens * s.n_q_heads;
  return {{c.scratch, n * s.head_dim, "g_acc"},
          {c.scratch + n * s.head_dim, n, "g_row_max"},
          {c.scratch + n * (s.head_dim + 1), n, "g_row_sum"}};
}

/// Launches merge_partials, which makes the output from the partials.
void merge_splits(const gpu::AttendCall& call, SplitPlan plan, Stream stream);

/// What one block computes.
struct Part {
  int32_t token, sequence, split, g, first_head, n_heads;
  int32_t begin, end;  // keys; empty if begin >= end
  int32_t first_tile;  // the key where its first tile begins
};

template <typename Rows, int32_t kHeads, typename KV>
__device__ inline Part part_of(const AttendOperands<KV>& o, SplitPlan plan) {
  Part part;
  const auto n_chunks = static_cast<int32_t>(ceil_div(o.group_size, kHeads));
  const int32_t chunk = static_cast<int32_t>(blockIdx.x) % n_chunks,
                token_split = static_cast<int32_t>(blockIdx.x) / n_chunks;
  part.token = token_split / plan.n_splits;
  part.split = token_split % plan.n_splits;
  part.g = static_cast<int32_t>(blockIdx.y);
  part.first_head = part.g * o.group_size + chunk * kHeads;
  const int32_t n_left = o.group_size - chunk * kHeads;
  part.n_heads = n_left < kHeads ? n_left : kHeads;
  part.sequence = o.g_seq_of_token.load(part.token);

  const VisibleKeys visible = keys_of(o, part.sequence, part.token);
  KeyRange keys = visible.range(1);
  int32_t split_len = plan.tiles_per_split * Rows::kTileKeys, split = part.split;
  if (plan.sinks_apart) {
    if (split == 0)
      keys = visible.range(0), split_len = keys.end;
    else
      --split;
  }
  part.first_tile = keys.begin / Rows::kTileKeys * Rows::kTileKeys + split * split_len;
  const int32_t end = part.first_tile + split_len;
  part.begin = part.first_tile > keys.begin ? part.first_tile : keys.begin;
  part.end = end < keys.end ? end : keys.end;
  return part;
}

/// What acc is multiplied by: an output is divided by row_sum (0: the query sees no key); a partial keeps its acc.
__device__ inline float norm_of(SplitPlan plan, const SoftmaxState<float>& all) {
  if (plan.n_splits > 1) return 1;
  return all.row_sum == 0 ? 0 : 1 / all.row_sum;
}

/// Writes the lse of row (token, query head), or row_max and row_sum of its partial.
template <typename KV>
__device__ inline void store_state(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                                   int64_t row, int32_t split, const SoftmaxState<float>& all) {
  if (plan.n_splits == 1) {
    o.g_lse.store(row, all.lse());
  } else {
    partials.g_row_max.store(row * plan.n_splits + split, all.row_max);
    partials.g_row_sum.store(row * plan.n_splits + split, all.row_sum);
  }
}

/// Finishes the scores r_x of head h for the keys s, s + kStep, …; for soft cap and ALiBi alone. Scores of
/// keys that are not in the part stay as they are.
template <int32_t kStep, typename KV, int32_t n>
__device__ inline void finish_scores(const AttendOperands<KV>& o, const Part& part, int32_t h, int32_t s,
                                     float (&r_x)[n]) {
  if (o.score.only_scales()) return;
  const int32_t last = o.n_q_heads - 1;  // a slot without a head computes what nobody reads
  for (int32_t j = 0; j < n; ++j)
    if (s + j * kStep >= part.begin && s + j * kStep < part.end)
      r_x[j] = finish_score(o, part.sequence, part.token, h < last ? h : last, s + j * kStep, r_x[j], kLog2E);
}

/// Merges the states of the block's warps, one thread per head. Writes the head's lse, or row_max and row_sum
/// of its partial. Then s_row_max holds, for each warp and head, the factor for its acc in what the block
/// writes. Call it between two barriers.
template <int32_t kHeads, typename KV>
__device__ inline void merge_warps(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                                   const Part& part, const Shared<float>& s_row_max,  // [warp, h]
                                   const Shared<float>& s_row_sum) {                  // [warp, h]
  constexpr int32_t kWarps = kRowThreads / kWarpSize;
  const auto h = static_cast<int32_t>(threadIdx.x);
  if (h >= part.n_heads) return;
  float r_factor[kWarps];
  SoftmaxState<float> all;
  for (int32_t w = 0; w < kWarps; ++w) {
    r_factor[w] = s_row_max.load(w * kHeads + h);
    all.row_max = fmaxf(all.row_max, r_factor[w]);
  }
  for (int32_t w = 0; w < kWarps; ++w) {
    r_factor[w] = SoftmaxState<float>::rescale(r_factor[w], all.row_max);
    all.row_sum += r_factor[w] * s_row_sum.load(w * kHeads + h);
  }
  const float norm = norm_of(plan, all);
  for (int32_t w = 0; w < kWarps; ++w) s_row_max.store(w * kHeads + h, r_factor[w] * norm);

  const int64_t row = int64_t{part.token} * o.n_q_heads + part.first_head + h;
  store_state(o, plan, partials, row, part.split, all);
}

/// Writes element d of head h to the output, or to the block's partial.
template <typename KV>
__device__ inline void store_element(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                                     const Part& part, int32_t h, int32_t d, float acc) {
  const int64_t row = int64_t{part.token} * o.n_q_heads + part.first_head + h;
  if (plan.n_splits == 1)
    o.g_out.store(row * o.head_dim + d, acc);
  else
    partials.g_acc.store((row * plan.n_splits + part.split) * o.head_dim + d, acc);
}

/// Merges the states of the block, then writes its output or its partial, even an empty one.
template <typename Rows, typename KV, int32_t kHeads>
__device__ inline void finish(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                              const Part& part, GroupState<Rows, kHeads>& state) {
  constexpr int32_t kWarps = kRowThreads / kWarpSize, kWidth = Rows::kLanes * Rows::kElems;
  LASTROW_SHARED(float, s_acc, kWarps* kHeads* kWidth);  // [warp, h, d]
  LASTROW_SHARED(float, s_row_max, kWarps* kHeads);      // [warp, h], then factors
  LASTROW_SHARED(float, s_row_sum, kWarps* kHeads);      // [warp, h]
  const auto thread = static_cast<int32_t>(threadIdx.x), warp = thread / kWarpSize, lane = thread % kWarpSize;

  let_next_begin();  // merge_partials, if there are splits: it waits until this kernel has ended
  state.merge_groups();
  if (lane < Rows::kLanes) {
    const int32_t own = Rows::template own_head<kHeads>();
    if (lane % Rows::template kSpan<kHeads> == 0) {
      s_row_max.store(warp * kHeads + own, state.softmax.row_max * kLn2);
      s_row_sum.store(warp * kHeads + own, state.softmax.row_sum);
    }
    for (int32_t slot = 0; slot < kHeads; ++slot)
      for (int32_t e = 0; e < Rows::kElems; ++e)
        s_acc.store((warp * kHeads + (slot ^ own)) * kWidth + Rows::dim(e / Rows::kLoad) + e % Rows::kLoad,
                    state.acc[slot][e]);
  }
  __syncthreads();  // each warp's state is written before it is read
  merge_warps<kHeads>(o, plan, partials, part, s_row_max, s_row_sum);
  __syncthreads();  // the factors are written before all threads read them

  for (int32_t x = thread; x < part.n_heads * kWidth; x += kRowThreads) {
    const int32_t h = x / kWidth, d = x % kWidth;
    if (d >= o.head_dim) continue;
    float acc = 0;
    for (int32_t w = 0; w < kWarps; ++w)
      acc += s_row_max.load(w * kHeads + h) * s_acc.load((w * kHeads + h) * kWidth + d);
    store_element(o, plan, partials, part, h, d, acc);
  }
}

// ---- on the host

/// What a plan has to know about a kernel.
struct SplitKernel {
  gpu::SplitKind kind;
  int32_t blocks_at_once;    // that registers of a multiprocessor have room for
  int64_t shared_bytes = 0;  // per block, if they may be the tighter limit; else 0
};

/// The plan for a call. n_splits depends only on the task and is at most kMaxSplits. A window makes each
/// split shorter. Sinks have a split of their own, so that a part is always one range of keys.
template <typename Rows, int32_t kHeads>
SplitPlan plan_of(const gpu::AttendTask& task, const SplitKernel& kernel, MaskRule mask = {}) {
  const gpu::AttendShape& s = task.shape;
  const auto n_tiles = static_cast<int32_t>(ceil_div(std::max(1, s.max_kv_len), Rows::kTileKeys));
  const int64_t n_blocks = int64_t{s.n_tokens} * s.n_kv_heads * ceil_div(s.group_size(), kHeads);
  const int64_t with_room = task.device.max_shared_bytes / std::max(int64_t{1}, kernel.shared_bytes);
  const auto at_once =
      static_cast<int32_t>(std::clamp(with_room, int64_t{1}, int64_t{kernel.blocks_at_once}));
  const int32_t most_splits = gpu::kMaxSplits - (s.sinks_apart ? 1 : 0), n_splits = task.tuning.n_splits;
  SplitPlan plan = n_splits > 0
                       ? gpu::split_into(std::min(n_splits, most_splits), n_tiles)
                       : gpu::plan_splits({n_blocks, n_tiles, task.device.n_multiprocessors, at_once},
                                          gpu::split_costs(kernel.kind));
  if (plan.n_splits > most_splits) plan = gpu::split_into(most_splits, n_tiles);
  if (mask.window > 0) {  // the keys that a query sees may begin in mid-tile
    const int64_t n_seen = ceil_div(mask.most_keys() - 1, Rows::kTileKeys) + 1;
    plan = gpu::split_into(plan.n_splits, static_cast<int32_t>(std::min(int64_t{n_tiles}, n_seen)));
  }
  if (s.sinks_apart) ++plan.n_splits, plan.sinks_apart = true;
  return plan;
}

/// The plan for k07 … k10.
template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
SplitPlan lane_plan(const gpu::AttendTask& task, gpu::SplitKind kind, int64_t shared_bytes,
                    MaskRule mask = {}) {
  return plan_of<LaneRows<kWidth, kVec>, kHeads>(
      task, {kind, kBlocksAtOnce<KV, kWidth, kHeads>, shared_bytes}, mask);
}

template <int32_t kHeads>
Dim3 split_grid(const gpu::AttendShape& s, SplitPlan plan) {
  const auto n_chunks = static_cast<uint32_t>(ceil_div(s.group_size(), kHeads));
  return {static_cast<uint32_t>(plan.n_splits) * static_cast<uint32_t>(s.n_tokens) * n_chunks,
          static_cast<uint32_t>(s.n_kv_heads)};
}

/// Calls f.operator()<kWidth, kHeads, kVec>() with the constants for the shape: 16-byte loads if a row is a
/// multiple of 16 bytes. Of 8-bit elements a lane holds 16, which leaves registers for only four heads.
template <typename KV, typename F>
auto with_lane_shape(const gpu::AttendShape& s, const F& f) {
  constexpr int32_t kVec = 16 / sizeof(KV), kMost = sizeof(KV) == 1 ? 4 : 8;
  const int32_t group = s.group_size();
  if (s.head_dim % kVec != 0) return f.template operator()<256, 4, 1>();
  if (s.head_dim > 128) return f.template operator()<256, 4, kVec>();
  if (s.head_dim > 64)
    return group == 1  ? f.template operator()<128, 1, kVec>()
           : group < 5 ? f.template operator()<128, 4, kVec>()
                       : f.template operator()<128, kMost, kVec>();
  return group == 1  ? f.template operator()<64, 1, kVec>()
         : group < 5 ? f.template operator()<64, 4, kVec>()
                     : f.template operator()<64, kMost, kVec>();
}

/// Floats of scratch for a rung that takes the stored types KVs in these lane shapes.
template <typename... KVs>
int64_t split_scratch_elems(const gpu::AttendTask& task, gpu::SplitKind kind, int64_t shared_bytes = 0) {
  const gpu::AttendShape& s = task.shape;
  int64_t n = 0;
  with_kv_type<KVs...>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      n = partial_elems(s, lane_plan<KV, kWidth, kHeads, kVec>(task, kind, shared_bytes));
    });
  });
  return n;
}

}  // namespace lastrow::LASTROW_TARGET
