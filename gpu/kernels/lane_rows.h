// How the lanes of a block share rows of K and V, and the softmax state that each group of lanes keeps.
//
//   using Rows = LaneRows<kWidth, kVec>;                    for head_dim ≤ kWidth, kVec elements a load
//   load_query<Rows>(o, token, head, n_heads, r_q);         once
//   loop over tiles:
//     load_row<Rows>(view, offset, seen, head_dim, r_row);  kRowsAhead rows of K and of V, all before any use
//     r_score[h][j] = dot<Rows>(r_q[h], r_k);               in every lane of the group
//     state.take_scores(r_score);                           scores become p = exp(score − maximum)
//     state.add_row(…, r_v);                                acc += p · v
//
// A row belongs to a group of kLanes lanes, element d to one lane of it; the same lane holds d of q, of K, of
// V and of the accumulator. A group takes the rows s, s + kStride, s + 2 kStride, … of a block, kRowsAhead of
// them a tile, and keeps its own maximum and sum: nothing is shared before all rows are done (split_kv.h).
// A row that is not seen is never loaded; its score is −∞ and its elements are 0.
// Source of the one update a tile: Dao et al. 2022, "FlashAttention".
#pragma once

#include "attention/softmax_state.h"
#include "gpu/kernels/attend_operands.h"
#include "gpu/kernels/convert.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kRowThreads = 128;  // of a block: four warps
constexpr int32_t kRowsAhead = 4;     // of K and of V in flight for each group: 128 bytes a lane

template <int32_t kWidth, int32_t kVec>
struct LaneRows {
  static constexpr int32_t kLoad = kVec;
  static constexpr int32_t kLanes = kWidth / kVec < kWarpSize ? kWidth / kVec : kWarpSize;  // of a row
  static constexpr int32_t kVecs = kWidth / (kLanes * kVec);                                // of a lane
  static constexpr int32_t kElems = kVecs * kVec;
  static constexpr int32_t kStride = kRowThreads / kLanes;  // rows that the block loads at once
  static constexpr int32_t kTileKeys = kStride * kRowsAhead;

  __device__ static int32_t row() { return static_cast<int32_t>(threadIdx.x) / kLanes; }
  /// First element of the lane's vector v.
  __device__ static int32_t dim(int32_t v) {
    return (v * kLanes + static_cast<int32_t>(threadIdx.x) % kLanes) * kVec;
  }
};

/// r_q[h][e] of heads first_head + h; heads past n_heads get 0.
template <typename Rows, typename KV, int32_t kHeads>
__device__ inline void load_query(const AttendOperands<KV>& o, int32_t token, int32_t first_head,
                                  int32_t n_heads, float (&r_q)[kHeads][Rows::kElems]) {
  constexpr int32_t kPart = Rows::kLoad < 4 ? Rows::kLoad : 4;
  for (int32_t h = 0; h < kHeads; ++h)
    for (int32_t v = 0; v < Rows::kVecs; ++v)
      for (int32_t e = 0; e < Rows::kLoad; e += kPart) {
        Vec<float, kPart> part{};
        const int64_t row = int64_t{token} * o.n_q_heads + first_head + h;
        if (h < n_heads && Rows::dim(v) < o.head_dim)
          part = o.g_q.template load_vec<kPart>(row * o.head_dim + Rows::dim(v) + e);
        for (int32_t j = 0; j < kPart; ++j) r_q[h][v * Rows::kLoad + e + j] = part.x[j];
      }
}

template <typename Rows, typename KV>
__device__ inline void load_row(const Global<const KV>& g_rows, int64_t offset, bool seen, int32_t head_dim,
                                Vec<KV, Rows::kLoad> (&r_row)[Rows::kVecs]) {
  for (int32_t v = 0; v < Rows::kVecs; ++v)
    r_row[v] = g_rows.template load_vec_or_zero<Rows::kLoad>(offset + Rows::dim(v),
                                                             seen && Rows::dim(v) < head_dim);
}

template <typename Rows, typename KV>
__device__ inline void widen_row(const Vec<KV, Rows::kLoad> (&r_row)[Rows::kVecs], float (&x)[Rows::kElems]) {
  for (int32_t v = 0; v < Rows::kVecs; ++v) widen<Rows::kLoad>(r_row[v], x + v * Rows::kLoad);
}

/// q · k, the same in each lane of the group, summed in a fixed order.
template <typename Rows>
__device__ inline float dot(const float (&r_q)[Rows::kElems], const float (&r_k)[Rows::kElems]) {
  float sum = 0;
  for (int32_t e = 0; e < Rows::kElems; ++e) sum += r_q[e] * r_k[e];
  for (int32_t flip = Rows::kLanes / 2; flip > 0; flip /= 2) sum += __shfl_xor_sync(kAllLanes, sum, flip);
  return sum;
}

/// One group's share of kHeads outputs: attention/softmax_state.h with the sum of V beside it.
template <int32_t kHeads, int32_t kElems>
struct GroupState {
  SoftmaxState<float> softmax[kHeads];
  float acc[kHeads][kElems] = {};

  /// One softmax update for a tile: row_max and row_sum take the scores in, acc shrinks, scores become p.
  __device__ void take_scores(float (&r_score)[kHeads][kRowsAhead]) {
    for (int32_t h = 0; h < kHeads; ++h) {
      auto& [row_max, row_sum] = softmax[h];
      float new_max = row_max;
      for (int32_t j = 0; j < kRowsAhead; ++j) new_max = fmaxf(new_max, r_score[h][j]);
      // Nothing seen yet: (−∞) − (−∞) is NaN, (−∞) − 0 is what is meant.
      const float base = new_max == kMinusInfinity ? 0.0f : new_max;
      const float shrink = exp2f((row_max - base) * kLog2E);
      row_max = new_max;
      row_sum *= shrink;
      for (int32_t e = 0; e < kElems; ++e) acc[h][e] *= shrink;
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        r_score[h][j] = exp2f((r_score[h][j] - base) * kLog2E);
        row_sum += r_score[h][j];
      }
    }
  }

  __device__ void add_row(int32_t h, float p, const float (&r_v)[kElems]) {
    for (int32_t e = 0; e < kElems; ++e) acc[h][e] += p * r_v[e];
  }

  /// Takes in the states of the warp's other groups; complete in every group.
  template <typename Rows>
  __device__ void merge_groups() {
    for (int32_t flip = Rows::kLanes; flip < kWarpSize; flip *= 2)
      for (int32_t h = 0; h < kHeads; ++h) {
        const auto f = softmax[h].merge({__shfl_xor_sync(kAllLanes, softmax[h].row_max, flip),
                                         __shfl_xor_sync(kAllLanes, softmax[h].row_sum, flip)});
        for (int32_t e = 0; e < kElems; ++e)
          acc[h][e] = acc[h][e] * f.self + __shfl_xor_sync(kAllLanes, acc[h][e], flip) * f.other;
      }
  }
};

}  // namespace lastrow::LASTROW_TARGET
