// k07: several blocks share the keys of one sequence, and a second kernel merges their results.
//
// idea     one query makes too few blocks to fill a GPU; softmax states can be merged, so any number of
//          blocks can share a query
// since    k06: a block takes only some tiles of the keys, and writes its state to scratch instead of out.
//          There is no shared memory and no barrier in the loop: each group of lanes keeps a state of its own
// grid     x (token t, split, chunk of query heads), y K/V head g. A chunk is ≤ 8 heads, or ≤ 4 where
//          head_dim is above 128 or a row is no multiple of 16 bytes. The chunks of a group are neighbours,
//          so the second finds in L2 what the first has read
// block    4 warps, which meet only at the end
// group    of lanes: one key row s
// lane     16 bytes of a row of K and of V (one element, where a row is no multiple of 16 bytes); the same d
//          of q and acc; the softmax of one head (lane_rows.h)
// sums     in float, with 2^x; one softmax update per tile of kRowsAhead keys per group
// merge    the groups of a block at the end; the splits in k07_merge. There a warp merges 32 dims of a row
//          (t, h), or 8 where head_dim is no multiple of 4. It reads all maxima and sums at once, one split
//          per lane, then acc, 32 splits at once. It is launched while the splits still run (early_launch.h,
//          sm_90 and later)
// reads    each K and V byte once per chunk; each group has kRowsAhead rows of each in flight
// scratch  [n_tokens, n_q_heads, n_splits] states of head_dim + 2 floats; none with one split
// shared   one state for each of the 4 warps and each head of the chunk, at the end: at most 16.3 KiB
// takes    f32, bf16; any group; head_dim up to 256; decode and prefill
// expects  at batch 1 the time hardly grows with kv_len until all multiprocessors are busy; k06's time grows
//          from the first key on. Not measured yet
// source   Dao et al. 2023, "Flash-Decoding for long-context inference"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/lane_groups.h"
#include "gpu/parts/split_kv.h"
#include "gpu/target/early_launch.h"

namespace lastrow::LASTROW_TARGET {
namespace {

// Of k07_merge:
constexpr int32_t kMergeThreads = 64;                     // per block: two rows
constexpr gpu::Begins kMergeBegins = gpu::Begins::early;  // so its launch overlaps the splits
constexpr int32_t kColumns = 8;                           // lanes of a warp that share a row of acc

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<KV, kWidth, kHeads>)
    k07_split_kv(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      Packed<KV, kVec> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
      bool seen[kRowsAhead];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        const int32_t s = tile + j * Rows::kStride + Rows::row();
        seen[j] = s >= part.begin && s < part.end;
        int64_t row = 0;
        if (seen[j]) row = row_at(o, part.sequence, s, part.g) * o.head_dim;
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
  }
  finish<Rows>(o, plan, partials, part, state);
}

/// Writes out and lse of row (t, h), from n_splits ≤ kMaxSplits states. A warp writes kColumns · kVec
/// elements of out: eight lanes lie side by side along d, four splits are read at once, and a round takes 32
/// splits. The loads of a round do not wait for the weights or for the round before.
template <int32_t kVec>
__global__ void __launch_bounds__(kMergeThreads)
    k07_merge(Partials partials, Global<float> g_out, Global<float> g_lse, int64_t n_rows, int32_t head_dim,
              int32_t n_splits) {
  constexpr int32_t kRounds = gpu::kMaxSplits / kWarpSize, kAtOnce = kWarpSize / kColumns,
                    kLoads = kWarpSize / kAtOnce;  // per lane and round
  const auto thread = static_cast<int32_t>(threadIdx.x), lane = thread % kWarpSize;
  const int64_t row = int64_t{blockIdx.x} * (kMergeThreads / kWarpSize) + thread / kWarpSize;
  wait_for_previous();        // the splits have written their states before they are read here
  if (row >= n_rows) return;  // all lanes of the warp, or none
  const int32_t d = (static_cast<int32_t>(blockIdx.y) * kColumns + lane % kColumns) * kVec;

  const int64_t first = row * n_splits;  // the row's states

  Vec<float, kVec> r_acc[2][kLoads];  // acc of this round's splits, and of the next round's
  const auto ask_for = [&](int32_t round) {
    for (int32_t j = 0; j < kLoads; ++j) {
      const int32_t split = round * kWarpSize + j * kAtOnce + lane / kColumns;
      r_acc[round % 2][j] = partials.g_acc.template load_vec_or_zero<kVec>(
          first * head_dim + (split * head_dim + d), split < n_splits && d < head_dim);
    }
  };
  ask_for(0);

  // For split round · 32 + lane: first its maximum, then the factor that scales its sums to the maximum of
  // all.
  float r_factor[kRounds], r_sum[kRounds];
  LASTROW_UNROLL
  for (int32_t round = 0; round < kRounds; ++round) {
    if (round * kWarpSize >= n_splits) break;
    const int32_t split = round * kWarpSize + lane;
    r_factor[round] = split < n_splits ? partials.g_row_max.load(first + split) : kMinusInfinity;
    r_sum[round] = split < n_splits ? partials.g_row_sum.load(first + split) : 0.0f;
  }
  SoftmaxState<float> all;
  LASTROW_UNROLL
  for (int32_t round = 0; round < kRounds; ++round)
    if (round * kWarpSize < n_splits) all.row_max = fmaxf(all.row_max, r_factor[round]);
  all.row_max = warp_max(all.row_max);
  LASTROW_UNROLL
  for (int32_t round = 0; round < kRounds; ++round) {
    if (round * kWarpSize >= n_splits) break;
    r_factor[round] = SoftmaxState<float>::rescale(r_factor[round], all.row_max);
    all.row_sum += r_sum[round] * r_factor[round];
  }
  all.row_sum = warp_sum(all.row_sum);

  float acc[kVec] = {};  // of every fourth split
  LASTROW_UNROLL
  for (int32_t round = 0; round < kRounds; ++round) {
    if (round * kWarpSize >= n_splits) break;
    if ((round + 1) * kWarpSize < n_splits) ask_for(round + 1);
    for (int32_t j = 0; j < kLoads; ++j) {
      const float factor = __shfl_sync(kAllLanes, r_factor[round], j * kAtOnce + lane / kColumns);
      for (int32_t e = 0; e < kVec; ++e) acc[e] += factor * r_acc[round % 2][j].x[e];
    }
  }
  for (int32_t e = 0; e < kVec; ++e) acc[e] = sum_across(acc[e], kColumns);

  if (lane < kColumns && d < head_dim) {
    const float norm = all.row_sum == 0 ? 0 : 1 / all.row_sum;
    Vec<float, kVec> out;
    for (int32_t e = 0; e < kVec; ++e) out.x[e] = acc[e] * norm;
    g_out.template store_vec<kVec>(row * head_dim + d, out);
  }
  if (lane == 0 && d == 0) g_lse.store(row, all.lse());
}

constexpr gpu::SplitKind kKind = gpu::SplitKind::loads;

std::string supports(const gpu::AttendShape& s) {
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  return s.head_dim <= 256 ? "" : "it needs head_dim at most 256";
}

int64_t scratch_elems(const gpu::AttendShape& s) { return split_scratch_elems<float, BFloat16>(s, kKind); }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      const SplitPlan plan = lane_plan<KV, kWidth, kHeads, kVec>(s, kKind, 0, call.spec.mask.window);
      launch(Kernel{"k07_split_kv", k07_split_kv<KV, kWidth, kHeads, kVec>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, 0, stream, operands<KV>(call, 0), plan, partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

void merge_splits(const gpu::AttendCall& call, SplitPlan plan, Stream stream) {
  if (plan.n_splits == 1) return;
  const gpu::AttendShape& s = call.shape;
  const int64_t n_rows = int64_t{s.n_tokens} * s.n_q_heads;
  const auto launch_merge = [&]<int32_t kVec>() {
    const Dim3 grid{static_cast<uint32_t>(ceil_div(n_rows, kMergeThreads / kWarpSize)),
                    static_cast<uint32_t>(ceil_div(s.head_dim, kColumns * kVec))};
    launch(Kernel{"k07_merge", k07_merge<kVec>, kMergeBegins}, grid, {kMergeThreads}, 0, stream,
           partials_in(call, plan), Global<float>{call.out, n_rows * s.head_dim, "g_out"},
           Global<float>{call.lse, n_rows, "g_lse"}, n_rows, s.head_dim, plan.n_splits);
  };
  if (s.head_dim % 4 == 0)
    launch_merge.template operator()<4>();
  else
    launch_merge.template operator()<1>();
}

const Rung k07{"k07", "keys split over blocks, then merged", supports, scratch_elems, start};

}  // namespace lastrow::LASTROW_TARGET
