// Sixteen query rows of a warp against keys in shared memory, on tensor cores.
//
//   WarpRows<KV, kWidth, kParts, kRows> rows;        registers of a warp; head_dim ≤ kWidth
//   rows.load_query(o, at, s_q, …);                  once; s_q [kParts − 1, kRows, kWidth]: q's small parts
//   __syncthreads();                                 if another warp stored them
//   loop over tiles of keys in shared memory:
//     rows.scores(s_q, …, s_k, first, r_x);          x [16, keys] = q·k in units of ln 2
//     r_x = −∞ where a row does not see a key        by the caller, who knows the mask
//     rows.weigh(r_x);                               one softmax update: x becomes p = 2^(x − row_max)
//     rows.add_values(r_x, s_v, first);              acc += p·v
//   rows.finish();                                   row_sum of whole rows
//
// A lane's two rows are lane / 4 and that + 8; of 8 keys (or dims) it holds the two from lane % 4 · 2 on:
// FragmentC of tensor_cores.h, where the layouts stand. The scores of 16 keys, narrowed, are an operand of
// the second product as they lie.
//
// q and p are floats, an operand has 8 or 11 bits: so each is the sum of kParts operands, and each product
// kParts products, those of small parts first. With kFloatParts nothing of a float is lost that the judge
// would see. kParts = 1 rounds q and p to the type of K/V, as is usual where q comes in 16 bits already, and
// errs as that type does. q is divided by the power of two below its row's largest element first, which is
// exact, so that it can neither overflow nor lose small parts.
//
// K and V that a row sees have to be finite (of an infinity comes NaN); rows that none sees have to be 0.
// Never in a branch that divides a warp.
#pragma once

#include "gpu/kernels/convert.h"
#include "gpu/kernels/softmax2.h"
#include "gpu/kernels/tensor_cores.h"
#include "gpu/kernels/warp_copies.h"

namespace lastrow::LASTROW_TARGET {

/// Operands that make up a float: 2 · 11 or 3 · 8 of its 24 bits.
template <typename KV>
constexpr int32_t kFloatParts = std::is_same_v<KV, Half> ? 2 : 3;

/// x, y = Σ of the parts, each rounded from what those before it left.
template <typename KV, int32_t kParts>
__device__ inline void split_pair(float x, float y, uint32_t (&r_parts)[kParts]) {
  for (int32_t part = 0; part < kParts; ++part) {
    r_parts[part] = narrow_pair<KV>(x, y);
    KV pair[2];
    float taken[2];
    memcpy(pair, &r_parts[part], sizeof pair);
    widen_pair(pair, taken);
    x -= taken[0], y -= taken[1];
  }
}

/// Over the four lanes that hold a row.
__device__ inline float row_max_of(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}
__device__ inline float row_sum_of(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}

/// kRows: queries of the block, all its warps together.
template <typename KV, int32_t kWidth, int32_t kParts, int32_t kRows>
struct WarpRows {
  static constexpr int32_t kSteps = kWidth / 16;                                // of 16 dims, a product each
  static constexpr int64_t kQueryElems = int64_t{kParts - 1} * kRows * kWidth;  // of s_q

  FragmentA r_q[kSteps];  // the large parts
  float r_unit[2];        // of the lane's two rows: x = r_unit · products
  Softmax2 softmax[2];    // row_sum over the lane's own keys until finish
  FragmentC r_acc[kWidth / 8];

  __device__ static int32_t lane() { return static_cast<int32_t>(threadIdx.x) % kWarpSize; }
  /// The lane's first row, and its first column of eight.
  __device__ static int32_t row() { return lane() / 4; }
  __device__ static int32_t column() { return lane() % 4 * 2; }

  /// at[i]: row token · n_q_heads + head of q that is the lane's row i; −1: none, zeros. The warp's rows are
  /// first_query, … of the block's in s_q; of warps with the same rows one stores them.
  __device__ void load_query(const AttendOperands<KV>& o, const int64_t (&at)[2], const Shared<KV>& s_q,
                             int32_t first_query, bool stores) {
    LASTROW_UNROLL
    for (int32_t i = 0; i < 2; ++i) {
      Vec<float, 2> r_row[kSteps][2];
      float largest = 0;
      LASTROW_UNROLL
      for (int32_t k = 0; k < kSteps; ++k)
        for (int32_t e = 0; e < 2; ++e) {
          const int32_t d = 16 * k + 8 * e + column();
          r_row[k][e] = {};
          if (at[i] >= 0 && d < o.head_dim) r_row[k][e] = o.g_q.template load_vec<2>(at[i] * o.head_dim + d);
          largest = fmaxf(largest, fmaxf(fabsf(r_row[k][e].x[0]), fabsf(r_row[k][e].x[1])));
        }
      // 2^e as the bits of its exponent; 1 where that or its inverse is no normal number.
      const uint32_t exponent = magnitude_of(row_max_of(largest)) & 0x7F800000u;
      const bool normal = exponent >= 0x00800000u && exponent <= 0x7E000000u;
      const float unit = normal ? std::bit_cast<float>(exponent) : 1.0f;
      const float inverse = normal ? std::bit_cast<float>(0x7F000000u - exponent) : 1.0f;
      r_unit[i] = unit * (o.scale * kLog2E);
      LASTROW_UNROLL
      for (int32_t k = 0; k < kSteps; ++k)
        for (int32_t e = 0; e < 2; ++e) {
          uint32_t r_parts[kParts];
          split_pair<KV>(r_row[k][e].x[0] * inverse, r_row[k][e].x[1] * inverse, r_parts);
          r_q[k].x[i + 2 * e] = r_parts[0];
          for (int32_t part = 1; part < kParts; ++part) {
            if (!stores) continue;
            Vec<KV, 2> pair;
            memcpy(&pair, &r_parts[part], sizeof pair);
            const int32_t query = (part - 1) * kRows + first_query + row() + 8 * i;
            s_q.template store_vec<2>(swizzled<kWidth>(query, 2 * k + e) + column(), pair);
          }
        }
    }
    for (FragmentC& acc : r_acc) acc = {};
  }

  /// x [16, 8 · kTiles] of the keys in rows first, first + 1, … of s_k.
  template <int32_t kTiles>
  __device__ void scores(const Shared<KV>& s_q, int32_t first_query, const Shared<KV>& s_k, int32_t first,
                         FragmentC (&r_x)[kTiles]) {
    FragmentC r_small[kTiles] = {};  // sums of small parts, which would be lost in that of the large ones
    for (FragmentC& x : r_x) x = {};
    LASTROW_UNROLL
    for (int32_t k = 0; k < kSteps; k += 2) {
      FragmentA r_parts[kParts][2];
      for (int32_t step = 0; step < 2; ++step) {
        r_parts[0][step] = r_q[k + step];
        for (int32_t part = 1; part < kParts; ++part) {
          const int32_t row = (part - 1) * kRows + first_query + lane() % 16;
          const Matrices m = load_matrices(s_q, swizzled<kWidth>(row, 2 * (k + step) + lane() / 16));
          r_parts[part][step] = {{m.x[0], m.x[1], m.x[2], m.x[3]}};
        }
      }
      LASTROW_UNROLL
      for (int32_t j = 0; j < kTiles; ++j) {
        // Four matrices: 8 keys × 8 dims, the dims of two steps.
        const int32_t row = first + 8 * j + lane() % 8;
        const Matrices m = load_matrices(s_k, swizzled<kWidth>(row, 2 * k + lane() / 8));
        for (int32_t step = 0; step < 2; ++step) {
          const FragmentB keys{{m.x[2 * step], m.x[2 * step + 1]}};
          for (int32_t part = kParts - 1; part > 0; --part)
            multiply_add<KV>(r_small[j], r_parts[part][step], keys);
          multiply_add<KV>(r_x[j], r_parts[0][step], keys);
        }
      }
    }
    for (int32_t j = 0; j < kTiles; ++j)
      for (int32_t i = 0; i < 4; ++i) r_x[j].x[i] = (r_x[j].x[i] + r_small[j].x[i]) * r_unit[i / 2];
  }

  /// One softmax update: acc shrinks to the new maximum, x becomes p.
  template <int32_t kTiles>
  __device__ void weigh(FragmentC (&r_x)[kTiles]) {
    for (int32_t i = 0; i < 2; ++i) {
      float tile_max = kMinusInfinity;
      for (int32_t j = 0; j < kTiles; ++j)
        tile_max = fmaxf(tile_max, fmaxf(r_x[j].x[2 * i], r_x[j].x[2 * i + 1]));
      const float factor = softmax[i].raise(row_max_of(tile_max));
      for (int32_t n = 0; n < kWidth / 8; ++n) r_acc[n].x[2 * i] *= factor, r_acc[n].x[2 * i + 1] *= factor;
      for (int32_t j = 0; j < kTiles; ++j)
        for (int32_t e = 2 * i; e < 2 * i + 2; ++e) r_x[j].x[e] = softmax[i].weigh(r_x[j].x[e]);
    }
  }

  /// acc += p · v, v being rows first, first + 1, … of s_v.
  template <int32_t kTiles>
  __device__ void add_values(const FragmentC (&r_p)[kTiles], const Shared<KV>& s_v, int32_t first) {
    LASTROW_UNROLL
    for (int32_t j = 0; j < kTiles; j += 2) {
      FragmentA r_weights[kParts];
      for (int32_t i = 0; i < 4; ++i) {
        const float* const pair = r_p[j + i / 2].x + i % 2 * 2;
        uint32_t r_parts[kParts];
        split_pair<KV>(pair[0], pair[1], r_parts);
        for (int32_t part = 0; part < kParts; ++part) r_weights[part].x[i] = r_parts[part];
      }
      LASTROW_UNROLL
      for (int32_t n = 0; n < kWidth / 8; n += 2) {
        // Four matrices: 8 of the 16 keys × 8 of 16 dims, keys first.
        const Matrices m =
            load_matrices_transposed(s_v, swizzled<kWidth>(first + 8 * j + lane() % 16, n + lane() / 16));
        for (int32_t half = 0; half < 2; ++half) {
          const FragmentB values{{m.x[2 * half], m.x[2 * half + 1]}};
          for (int32_t part = kParts - 1; part >= 0; --part)
            multiply_add<KV>(r_acc[n + half], r_weights[part], values);
        }
      }
    }
  }

  __device__ void finish() {
    for (int32_t i = 0; i < 2; ++i) softmax[i].row_sum = row_sum_of(softmax[i].row_sum);
  }
};

/// On the host: calls f.operator()<kWidth, kParts>() with those that the shape takes, head_dim ≤ 128.
template <typename KV, typename F>
void with_product_shape(const gpu::AttendShape& s, const F& f) {
  const bool wide = s.head_dim > 64;
  if (s.n_parts == 1) return wide ? f.template operator()<128, 1>() : f.template operator()<64, 1>();
  if (wide) return f.template operator()<128, kFloatParts<KV>>();
  f.template operator()<64, kFloatParts<KV>>();
}

}  // namespace lastrow::LASTROW_TARGET
