// Sixteen query rows of a warp (or kSixteens times as many) against keys in shared memory, on tensor cores.
//
//   WarpRows<KV, kWidth, kParts, kRows> rows;        registers of a warp; head_dim ≤ kWidth
//   rows.load_query(o, at, s_q, …);                  once; several parts go to s_q [kParts, kRows, kWidth]
//   __syncthreads();                                 if another warp stored them
//   loop over tiles of keys in shared memory:
//     rows.scores(s_q, …, s_k, first, r_x);          x [16, keys] = q·k in units of ln 2
//     r_x = −∞ where a row does not see a key        done by the caller, who knows the mask
//     rows.weigh(r_x, r_factor);                     one softmax update: x becomes p = 2^(x − row_max)
//     rows.add_values(r_x, r_factor, s_v, first);    acc = acc·factor + p·v
//   rows.finish();                                   row_sum of whole rows
//
// Of the sixteen rows a lane has rows lane / 4 and lane / 4 + 8. Of 8 keys (or dims) it has two, from
// lane % 4 · 2 on. This is FragmentC of tensor_cores.h, which shows the layouts. The scores of 16 keys,
// narrowed, are an operand of the second product without any exchange.
//
// K and V of 8 bits become f16 when they are loaded (stored_fragments.h). The caller multiplies by the scales
// of int8 (key_scales.h).
//
// q and p are sums of kParts operands each (float_parts.h). Each product becomes kParts products, which are
// added from the smallest part to the largest.
//
// Tensor cores truncate when they add (tensor_cores.h). A sum that they kept over all tiles would drift
// towards zero as the context grows. So every call starts its products from zero: q·k over the dims, p·v over
// the keys of a tile. An ordinary float addition, which rounds to nearest, adds p·v to acc. This holds for
// every kParts and costs nothing: the same instruction scales acc to the new maximum.
//
// K and V rows that no row sees have to be 0. The result is not defined for a row that sees an infinity: a
// part of q or of p may be 0 or have the other sign, and 0 · ∞ is NaN, while p · ∞ in one part is ∞.
// Never call these functions in a branch that divides a warp.
#pragma once

#include "gpu/parts/float_parts.h"
#include "gpu/parts/softmax2.h"
#include "gpu/parts/stored_fragments.h"
#include "gpu/parts/warp_copies.h"

namespace lastrow::LASTROW_TARGET {

/// Maximum, and sum, over the four lanes that hold a row.
__device__ inline float row_max_of(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}
__device__ inline float row_sum_of(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}

/// kRows: query rows of the block, of all its warps together.
template <typename KV, int32_t kWidth, int32_t kParts, int32_t kRows, int32_t kSixteens = 1>
struct WarpRows {
  using Query = Operand<KV>;                                         // type of q and p: f16 for K/V of 8 bits
  static constexpr int32_t kBytes = sizeof(KV);                      // per element
  static constexpr int32_t kSteps = kWidth / 16;                     // steps of 16 dims, one product each
  static constexpr int32_t kStepsOfLoad = kOfLoad<KV> / 2;           // steps that one load of 16 keys holds
  static constexpr int32_t kEights = kWidth / 8;                     // fragments of 8 dims
  static constexpr bool kQueryShared = kParts > 1 || kSixteens > 1;  // else q is in registers
  static constexpr int64_t kQueryElems = kQueryShared ? int64_t{kParts} * kRows * kWidth : 0;  // size of s_q

  FragmentA r_q[kSteps];            // q, unless kQueryShared
  float r_unit[2 * kSixteens];      // per row of the lane: x = r_unit · products
  Softmax2 softmax[2 * kSixteens];  // until finish(), row_sum covers only the lane's own keys
  FragmentC r_acc[kSixteens * kEights];

  __device__ static int32_t lane() { return static_cast<int32_t>(threadIdx.x) % kWarpSize; }
  /// The lane's first row, and its first column of eight.
  __device__ static int32_t row() { return lane() / 4; }
  __device__ static int32_t column() { return lane() % 4 * 2; }
  /// The lane's pair e of dims 16 k … 16 k + 15, in q and in out.
  __device__ static int32_t dim(int32_t k, int32_t e) { return 16 * k + pair_of_dims<KV>(lane(), e); }
  /// The two elements of acc there, for the lane's row i.
  __device__ Vec<float, 2> acc_pair(int32_t i, int32_t k, int32_t e) const {
    const FragmentC* const r_sixteen = &r_acc[i / 2 * kEights + 2 * k];
    const int32_t at = i % 2 * 2;
    if (sizeof(KV) == 1) return {r_sixteen[0].x[at + e], r_sixteen[1].x[at + e]};
    return {r_sixteen[e].x[at], r_sixteen[e].x[at + 1]};
  }

  /// at[i]: the row of q, token · n_q_heads + head, for the lane's row i; −1: there is none, and the lane
  /// takes zeros. In s_q the warp's rows begin at row first_query. If several warps have the same rows, one
  /// of them stores them.
  __device__ void load_query(const AttendOperands<KV>& o, const int64_t (&at)[2 * kSixteens],
                             const Shared<Query>& s_q, int32_t first_query, bool stores) {
    LASTROW_UNROLL
    for (int32_t i = 0; i < 2 * kSixteens; ++i) {
      Vec<float, 2> r_row[kSteps][2];
      float largest = 0;
      LASTROW_UNROLL
      for (int32_t k = 0; k < kSteps; ++k)
        for (int32_t e = 0; e < 2; ++e) {
          const int32_t d = dim(k, e);
          r_row[k][e] = {};
          if (at[i] >= 0 && d < o.head_dim) r_row[k][e] = o.g_q.template load_vec<2>(at[i] * o.head_dim + d);
          largest = fmaxf(largest, fmaxf(fabsf(r_row[k][e].x[0]), fabsf(r_row[k][e].x[1])));
        }
      const PowerOfTwo unit = power_of_two_below(row_max_of(largest));
      r_unit[i] = unit.value * o.score.query_factor(kLog2E);
      LASTROW_UNROLL
      for (int32_t k = 0; k < kSteps; ++k)
        for (int32_t e = 0; e < 2; ++e) {
          uint32_t r_parts[kParts];
          split_pair<Query>(r_row[k][e].x[0] * unit.inverse, r_row[k][e].x[1] * unit.inverse, r_parts);
          if (!kQueryShared) r_q[k].x[i % 2 + 2 * e] = r_parts[0];
          for (int32_t part = 0; part < kParts; ++part) {
            if (!kQueryShared || !stores) continue;
            Vec<Query, 2> pair;
            memcpy(&pair, &r_parts[part], sizeof pair);
            const int32_t query = part * kRows + first_query + row() + 8 * i;
            s_q.template store_vec<2>(swizzled<kWidth, Query>(query, 2 * k + e) + column(), pair);
          }
        }
    }
    for (FragmentC& acc : r_acc) acc = {};
  }

  /// Scores x [16 · kSixteens, 8 · kTiles] for the keys in rows first, first + 1, … of s_k; r_x is
  /// [kSixteens, kTiles] fragments.
  template <int32_t n>
  __device__ void scores(const Shared<Query>& s_q, int32_t first_query, const Shared<KV>& s_k, int32_t first,
                         FragmentC (&r_x)[n]) {
    constexpr int32_t kTiles = n / kSixteens;
    // Two sums, because in one sum the small parts would be lost.
    FragmentC r_large[kSixteens][kTiles] = {}, r_small[kSixteens][kTiles] = {};
    LASTROW_UNROLL
    for (int32_t k = 0; k < kSteps; k += kStepsOfLoad) {
      FragmentA r_parts[kSixteens][kParts][kStepsOfLoad];
      for (int32_t m = 0; m < kSixteens; ++m) load_parts(s_q, first_query + 16 * m, k, r_parts[m]);
      LASTROW_UNROLL
      for (int32_t j = 0; j < kTiles; j += 2) {
        // Four matrices: 8 of 16 keys × 16 of 32 bytes, bytes first.
        FragmentB r_keys[2][kStepsOfLoad];
        key_fragments<KV>(
            load_matrices(s_k, swizzled<kWidth, KV>(first + 8 * j, k * kBytes, lane() % 8 + lane() / 16 * 8,
                                                    lane() / 8 % 2)),
            r_keys);
        for (int32_t eight = 0; eight < 2; ++eight)
          for (int32_t step = 0; step < kStepsOfLoad; ++step)
            for (int32_t m = 0; m < kSixteens; ++m) {
              for (int32_t part = kParts - 1; part > 0; --part)
                multiply_add<Query>(r_small[m][j + eight], r_parts[m][part][step], r_keys[eight][step]);
              multiply_add<Query>(r_large[m][j + eight], r_parts[m][0][step], r_keys[eight][step]);
            }
      }
    }
    for (int32_t m = 0; m < kSixteens; ++m)
      for (int32_t j = 0; j < kTiles; ++j)
        for (int32_t i = 0; i < 4; ++i) {
          const float large = r_large[m][j].x[i], all = kParts == 1 ? large : large + r_small[m][j].x[i];
          r_x[m * kTiles + j].x[i] = all * r_unit[2 * m + i / 2];
        }
  }

  /// One softmax update: x becomes p. The caller must still multiply acc by r_factor, one for each of the
  /// lane's rows.
  template <int32_t n>
  __device__ void weigh(FragmentC (&r_x)[n], float (&r_factor)[2 * kSixteens]) {
    constexpr int32_t kTiles = n / kSixteens;
    for (int32_t i = 0; i < 2 * kSixteens; ++i) {
      const int32_t m = i / 2, e0 = i % 2 * 2;  // the row's two elements of each fragment
      float tile_max = kMinusInfinity;
      for (int32_t j = m * kTiles; j < (m + 1) * kTiles; ++j)
        tile_max = fmaxf(tile_max, fmaxf(r_x[j].x[e0], r_x[j].x[e0 + 1]));
      r_factor[i] = softmax[i].raise(row_max_of(tile_max));
      for (int32_t j = m * kTiles; j < (m + 1) * kTiles; ++j)
        for (int32_t e = e0; e < e0 + 2; ++e) r_x[j].x[e] = softmax[i].weigh(r_x[j].x[e]);
    }
  }

  __device__ void shrink(const float (&r_factor)[2 * kSixteens]) {
    for (int32_t m = 0; m < kSixteens; ++m)
      for (int32_t d = m * kEights; d < (m + 1) * kEights; ++d)
        for (int32_t e = 0; e < 4; ++e) r_acc[d].x[e] *= r_factor[2 * m + e / 2];
  }

  /// acc = acc · r_factor + p · v, where v is in rows first, first + 1, … of s_v.
  template <int32_t n>
  __device__ void add_values(const FragmentC (&r_p)[n], const float (&r_factor)[2 * kSixteens],
                             const Shared<KV>& s_v, int32_t first) {
    constexpr int32_t kTiles = n / kSixteens, kPairs = kTiles / 2;  // pairs of eights: 16 keys
    FragmentA r_weights[kSixteens][kPairs][kParts];
    for (int32_t m = 0; m < kSixteens; ++m)
      for (int32_t j = 0; j < kPairs; ++j)
        for (int32_t i = 0; i < 4; ++i) {
          const FragmentC& p = r_p[m * kTiles + 2 * j + i / 2];
          uint32_t r_parts[kParts];
          split_pair<Query>(p.x[i % 2 * 2], p.x[i % 2 * 2 + 1], r_parts);
          for (int32_t part = 0; part < kParts; ++part) r_weights[m][j][part].x[i] = r_parts[part];
        }
    LASTROW_UNROLL
    for (int32_t d = 0; d < kEights; d += kOfLoad<KV>) {
      FragmentC r_sum[kSixteens][kOfLoad<KV>] = {};
      LASTROW_UNROLL
      for (int32_t j = 0; j < kPairs; ++j) {
        // Four matrices: 8 of the 16 keys × 16 of 32 bytes, keys first.
        const Matrices values = load_matrices_transposed(
            s_v, swizzled<kWidth, KV>(first + 16 * j, d * kBytes / 2, lane() % 16, lane() / 16));
        FragmentB r_values[kOfLoad<KV>];
        value_fragments<KV>(values, r_values);
        for (int32_t eight = 0; eight < kOfLoad<KV>; ++eight)
          for (int32_t m = 0; m < kSixteens; ++m)
            for (int32_t part = kParts - 1; part >= 0; --part)
              multiply_add<Query>(r_sum[m][eight], r_weights[m][j][part], r_values[eight]);
      }
      for (int32_t m = 0; m < kSixteens; ++m)
        for (int32_t eight = 0; eight < kOfLoad<KV>; ++eight)
          for (int32_t i = 0; i < 4; ++i) {
            float& acc = r_acc[m * kEights + d + eight].x[i];
            acc = acc * r_factor[2 * m + i / 2] + r_sum[m][eight].x[i];
          }
    }
  }

  __device__ void finish() {
    for (Softmax2& row : softmax) row.row_sum = row_sum_of(row.row_sum);
  }

 private:
  /// Loads the parts of q for the sixteen rows from first_query on, and for steps k, k + 1, … of 16 dims.
  __device__ void load_parts(const Shared<Query>& s_q, int32_t first_query, int32_t k,
                             FragmentA (&r_parts)[kParts][kStepsOfLoad]) const {
    for (int32_t step = 0; step < kStepsOfLoad; ++step) {
      if (!kQueryShared) r_parts[0][step] = r_q[k + step];
      for (int32_t part = 0; part < kParts && kQueryShared; ++part) {
        const int32_t at =
            swizzled<kWidth, Query>(part * kRows + first_query, 2 * (k + step), lane() % 16, lane() / 16);
        const Matrices q = load_matrices(s_q, at);
        r_parts[part][step] = {{q.x[0], q.x[1], q.x[2], q.x[3]}};
      }
    }
  }
};

/// On the host: calls f.operator()<kWidth>() with the constant for the shape; head_dim ≤ 128.
template <typename F>
void with_width(const gpu::AttendShape& s, const F& f) {
  if (s.head_dim > 64) return f.template operator()<128>();
  f.template operator()<64>();
}

/// On the host: calls f.operator()<kWidth, kParts>() with the constants for the shape; head_dim ≤ 128.
template <typename KV, typename F>
void with_product_shape(const gpu::AttendTask& task, const F& f) {
  const bool wide = task.shape.head_dim > 64;
  if (task.tuning.n_parts == 1)
    return wide ? f.template operator()<128, 1>() : f.template operator()<64, 1>();
  if (wide) return f.template operator()<128, kFloatParts<KV>>();
  f.template operator()<64, kFloatParts<KV>>();
}

}  // namespace lastrow::LASTROW_TARGET
