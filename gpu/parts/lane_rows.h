// How the lanes of a block divide the rows of K and V, and the softmax state that each group of lanes keeps.
//
//   using Rows = LaneRows<kWidth, kVec>;                         head_dim ≤ kWidth; kVec elements a load
//   load_query<Rows>(o, token, head, n_heads, r_q);              once
//   loop over tiles:
//     load_row<Rows, KV>(view, offset, seen, head_dim, r_row);   kRowsAhead rows of K and of V
//     r_x[h][j] = dot<Rows>(r_q[h], r_k);                        this lane's part of a score
//     sum_scores<Rows>(r_x);                                     r_x[0][j]: the score of the lane's own head
//     r_x[0][j] = −∞ where row j is not seen                     done by the caller
//     state.take_scores(r_x);                                    r_x[0][j] becomes p = 2^(x − maximum)
//     state.spread_weights(r_x);                                 r_x[h][j] is p, for all heads
//     state.add_row(h, r_x[h][j], r_v);                          acc += p · v
//
// A row belongs to a group of kLanes lanes, and each element d to one lane of the group. That lane holds d of
// q, of K, of V and of the accumulator. A group takes the rows s, s + kStride, s + 2 kStride, … of a block,
// kRowsAhead of them per tile. It keeps its own maximum and sum: nothing is shared before all rows are done
// (split_kv.h). A row that is not seen is never loaded; its score is −∞ and its elements are 0.
//
// If each lane summed the scores of all heads, the lanes of a group would do the same work on the same
// numbers. So the heads are divided among the lanes: lane l of a group has its own head, l / kSpan, sums the
// scores of that head and computes its exponentials. In arrays [kHeads], slot h holds head h ^ own. So what a
// lane gives away in a step of the sum is in the same slots in every lane, and no lane has to choose.
//
// Scores are in units of ln 2 (softmax2.h).
// Source of the one update per tile: Dao et al. 2022, "FlashAttention".
#pragma once

#include "gpu/parts/attend_operands.h"
#include "gpu/parts/convert.h"
#include "gpu/parts/softmax2.h"

namespace lastrow::LASTROW_TARGET {

constexpr int32_t kRowThreads = 128;  // per block: four warps
constexpr int32_t kRowsAhead = 4;     // rows of K, and of V, in flight for each group: 128 bytes per lane

template <int32_t kWidth, int32_t kVec>
struct LaneRows {
  static constexpr int32_t kLoad = kVec;
  static constexpr int32_t kLanes = kWidth / kVec < kWarpSize ? kWidth / kVec : kWarpSize;  // per row
  static constexpr int32_t kVecs = kWidth / (kLanes * kVec);                                // per lane
  static constexpr int32_t kElems = kVecs * kVec;
  static constexpr int32_t kStride = kRowThreads / kLanes;  // rows that the block loads at once
  static constexpr int32_t kTileKeys = kStride * kRowsAhead;
  template <int32_t kHeads>
  static constexpr int32_t kSpan = kLanes / kHeads;  // lanes of a group that have the same own head

  __device__ static int32_t row() { return static_cast<int32_t>(threadIdx.x) / kLanes; }
  /// First element of the lane's vector v.
  __device__ static int32_t dim(int32_t v) {
    return (v * kLanes + static_cast<int32_t>(threadIdx.x) % kLanes) * kVec;
  }
  /// Which of the kHeads heads is the lane's own.
  template <int32_t kHeads>
  __device__ static int32_t own_head() {
    static_assert(kHeads <= kLanes);
    return static_cast<int32_t>(threadIdx.x) % kLanes / kSpan<kHeads>;
  }
};

/// Loads r_q[slot][e] of the heads from first_head on, multiplied by scale · log2 e. Heads past n_heads get
/// 0.
template <typename Rows, typename KV, int32_t kHeads>
__device__ inline void load_query(const AttendOperands<KV>& o, int32_t token, int32_t first_head,
                                  int32_t n_heads, float (&r_q)[kHeads][Rows::kElems]) {
  constexpr int32_t kPart = Rows::kLoad < 4 ? Rows::kLoad : 4;
  for (int32_t slot = 0; slot < kHeads; ++slot) {
    const int32_t h = slot ^ Rows::template own_head<kHeads>();
    const int64_t row = int64_t{token} * o.n_q_heads + first_head + h;
    for (int32_t v = 0; v < Rows::kVecs; ++v)
      for (int32_t e = 0; e < Rows::kLoad; e += kPart) {
        Vec<float, kPart> part{};
        if (h < n_heads && Rows::dim(v) < o.head_dim)
          part = o.g_q.template load_vec<kPart>(row * o.head_dim + Rows::dim(v) + e);
        for (int32_t j = 0; j < kPart; ++j)
          r_q[slot][v * Rows::kLoad + e + j] = part.x[j] * o.score.query_factor(kLog2E);
      }
  }
}

template <typename Rows, typename KV>
__device__ inline void load_row(const Global<const KV>& g_rows, int64_t offset, bool seen, int32_t head_dim,
                                Packed<KV, Rows::kLoad> (&r_row)[Rows::kVecs]) {
  for (int32_t v = 0; v < Rows::kVecs; ++v)
    r_row[v] = pack(g_rows.template load_vec_or_zero<Rows::kLoad>(offset + Rows::dim(v),
                                                                  seen && Rows::dim(v) < head_dim));
}

template <typename Rows, typename KV>
__device__ inline void widen_row(const Packed<KV, Rows::kLoad> (&r_row)[Rows::kVecs],
                                 float (&x)[Rows::kElems]) {
  for (int32_t v = 0; v < Rows::kVecs; ++v) widen<KV, Rows::kLoad>(r_row[v], x + v * Rows::kLoad);
}

/// The lane's part of q · k.
template <typename Rows>
__device__ inline float dot(const float (&r_q)[Rows::kElems], const float (&r_k)[Rows::kElems]) {
  float sum = 0;
  for (int32_t e = 0; e < Rows::kElems; ++e) sum += r_q[e] * r_k[e];
  return sum;
}

/// Adds the lanes' parts of scores; x[0] then holds the scores of the lane's own head. In each step a lane
/// gives half of its heads to another lane and keeps the other half. When one head is left, only its parts
/// are added. The order is fixed.
template <typename Rows, int32_t kHeads>
__device__ inline void sum_scores(float (&x)[kHeads][kRowsAhead]) {
  LASTROW_UNROLL
  for (int32_t step = 1; step < Rows::kLanes; step *= 2) {
    const int32_t n_kept = kHeads / (2 * step), flip = Rows::kLanes / (2 * step);
    for (int32_t h = 0; h < (n_kept > 0 ? n_kept : 1); ++h)
      for (int32_t j = 0; j < kRowsAhead; ++j) x[h][j] += __shfl_xor_sync(kAllLanes, x[h + n_kept][j], flip);
  }
}

/// The x that belongs to the lane's slot h, from a lane that has this head as its own.
template <typename Rows, int32_t kHeads>
__device__ inline float of_slot(int32_t h, float x) {
  return h == 0 ? x : __shfl_xor_sync(kAllLanes, x, h * Rows::template kSpan<kHeads>);
}

/// One group's part of kHeads outputs. A lane keeps the softmax of its own head, and acc of all heads.
template <typename Rows, int32_t kHeads>
struct GroupState {
  Softmax2 softmax;                      // of the own head
  float acc[kHeads][Rows::kElems] = {};  // [slot, e]

  /// One softmax update for a tile; x comes from sum_scores. Adds the scores x[0] to row_max and row_sum,
  /// turns them into p, and scales acc.
  __device__ void take_scores(float (&x)[kHeads][kRowsAhead]) {
    float tile_max = x[0][0];
    for (int32_t j = 1; j < kRowsAhead; ++j) tile_max = fmaxf(tile_max, x[0][j]);
    const float shrink = softmax.raise(tile_max);
    for (int32_t j = 0; j < kRowsAhead; ++j) x[0][j] = softmax.weigh(x[0][j]);
    scale_acc(shrink);
  }

  /// Fills x[h] with p of the other heads, by shuffles; x[0] has p of the own head.
  __device__ void spread_weights(float (&x)[kHeads][kRowsAhead]) const {
    for (int32_t h = 1; h < kHeads; ++h)
      for (int32_t j = 0; j < kRowsAhead; ++j) x[h][j] = of_slot<Rows, kHeads>(h, x[0][j]);
  }

  __device__ void add_row(int32_t h, float p, const float (&r_v)[Rows::kElems]) {
    for (int32_t e = 0; e < Rows::kElems; ++e) acc[h][e] += p * r_v[e];
  }

  /// Merges the states of the warp's other groups into this one. Every group then has the whole result.
  __device__ void merge_groups() {
    for (int32_t flip = Rows::kLanes; flip < kWarpSize; flip *= 2) {
      const float all = fmaxf(softmax.row_max, __shfl_xor_sync(kAllLanes, softmax.row_max, flip));
      scale_acc(softmax.raise(all));
      softmax.row_sum += __shfl_xor_sync(kAllLanes, softmax.row_sum, flip);
      for (int32_t h = 0; h < kHeads; ++h)
        for (int32_t e = 0; e < Rows::kElems; ++e) acc[h][e] += __shfl_xor_sync(kAllLanes, acc[h][e], flip);
    }
  }

 private:
  __device__ void scale_acc(float factor) {
    for (int32_t h = 0; h < kHeads; ++h) {
      const float f = of_slot<Rows, kHeads>(h, factor);
      for (int32_t e = 0; e < Rows::kElems; ++e) acc[h][e] *= f;
    }
  }
};

}  // namespace lastrow::LASTROW_TARGET
