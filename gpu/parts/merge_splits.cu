// Merges the partials of splits: one softmax state for each split and row (t, h) becomes the row's out and lse.
//
//   merge_splits(call, plan, stream);     after the kernel that wrote the partials (split_kv.h); nothing for one split
//
// grid     x rows (t, h), two per block; y 32 dims of a row, or 8 where head_dim is no multiple of 4
// warp     reads all maxima and sums of its row at once, one split per lane; then acc, 32 splits at once
// launch   while the splits still run (early_launch.h, sm_90 and later)
// source   Dao et al. 2023, "Flash-Decoding for long-context inference"
#include "gpu/parts/lane_groups.h"
#include "gpu/parts/split_kv.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kMergeThreads = 64;                     // per block: two rows
constexpr gpu::Begins kMergeBegins = gpu::Begins::early;  // so its launch overlaps the splits
constexpr int32_t kColumns = 8;                           // lanes of a warp that share a row of acc

/// Writes out and lse of row (t, h), from n_splits ≤ kMaxSplits states. A warp writes kColumns · kVec
/// elements of out: eight lanes lie side by side along d, four splits are read at once, and a round takes 32
/// splits. The loads of a round do not wait for the weights or for the round before.
template <int32_t kVec>
__global__ void __launch_bounds__(kMergeThreads)
    merge_partials(Partials partials, Global<float> g_out, Global<float> g_lse, int64_t n_rows,
                   int32_t head_dim, int32_t n_splits) {
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

}  // namespace

void merge_splits(const gpu::AttendCall& call, SplitPlan plan, Stream stream) {
  if (plan.n_splits == 1) return;
  const gpu::AttendShape& s = call.task.shape;
  const int64_t n_rows = int64_t{s.n_tokens} * s.n_q_heads;
  const auto launch_merge = [&]<int32_t kVec>() {
    const Dim3 grid{static_cast<uint32_t>(ceil_div(n_rows, kMergeThreads / kWarpSize)),
                    static_cast<uint32_t>(ceil_div(s.head_dim, kColumns * kVec))};
    launch(Kernel{"merge_partials", merge_partials<kVec>, kMergeBegins}, grid, {kMergeThreads}, 0, stream,
           partials_in(call, plan), Global<float>{call.out, n_rows * s.head_dim, "g_out"},
           Global<float>{call.lse, n_rows, "g_lse"}, n_rows, s.head_dim, plan.n_splits);
  };
  if (s.head_dim % 4 == 0)
    launch_merge.template operator()<4>();
  else
    launch_merge.template operator()<1>();
}

}  // namespace lastrow::LASTROW_TARGET
