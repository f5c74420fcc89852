// Keeps NaN and ∞ of V out of rows that do not see them. Such a row gives the key the weight 0, but 0 · NaN
// is NaN. So these values are removed from the tile before it is multiplied, and the rows that do see them
// are set to NaN directly. Only tiles of which some row does not see some key need this: in other tiles the
// product carries a NaN to all rows, which all see it.
//
//   bad = any_not_finite<KV, kWidth>(s_v, first)    in the warp's own sixteen rows of s_v, from `first` on
//   (a barrier; if any warp found one, all warps go on:)
//   poison<KV, kWidth>(rows, i, s_v, begin, end)    sets acc of the lane's row i, which sees the rows of
//                                                   s_v from `begin` to `end`
//   __syncthreads();                                all warps have read s_v before any removes values
//   take_out<KV, kWidth>(s_v, first)                writes 0 over them, in the warp's own sixteen rows
//   __syncthreads();                                they are removed before any warp multiplies
#pragma once

#include "gpu/parts/convert.h"
#include "gpu/parts/warp_copies.h"

namespace lastrow::LASTROW_TARGET {

/// A mask for the two 16-bit elements of a word: all bits of an element that is infinite or NaN, none of
/// another.
template <typename KV>
__device__ inline uint32_t not_finite(uint32_t pair) {
  static_assert(sizeof(KV) == 2);
  constexpr uint32_t kExponent = std::is_same_v<KV, Half> ? 0x7C00u : 0x7F80u;
  return ((pair & kExponent) == kExponent ? 0xFFFFu : 0) |
         ((pair >> 16 & kExponent) == kExponent ? 0xFFFF0000u : 0);
}

/// Calls f(at) for each 16-byte step of these rows that is the lane's; `at` is its first element.
template <typename KV, int32_t kWidth, typename F>
__device__ inline void for_own_steps(int32_t first, const F& f) {
  constexpr int32_t kSteps = kWidth * sizeof(KV) / 16, kAtOnce = kWarpSize / kSteps;  // rows
  const int32_t lane = static_cast<int32_t>(threadIdx.x) % kWarpSize;
  for (int32_t j = 0; j < kWarpKeys / kAtOnce; ++j)
    f(swizzled<kWidth, KV>(first + j * kAtOnce + lane / kSteps, lane % kSteps));
}

/// The same answer in all lanes.
template <typename KV, int32_t kWidth>
__device__ inline bool any_not_finite(const Shared<KV>& s_v, int32_t first) {
  uint32_t bad = 0;
  for_own_steps<KV, kWidth>(first, [&](int32_t at) {
    const Packed<KV, 8> packed = pack(s_v.template load_vec<8>(at));
    for (const uint32_t pair : packed.x) bad |= not_finite<KV>(pair);
  });
  return __any_sync(kAllLanes, bad != 0);
}

__device__ inline bool any_of(const Vec<uint32_t, 4>& flags) {
  return (flags.x[0] | flags.x[1] | flags.x[2] | flags.x[3]) != 0;
}

template <typename KV, int32_t kWidth>
__device__ inline void take_out(const Shared<KV>& s_v, int32_t first) {
  for_own_steps<KV, kWidth>(first, [&](int32_t at) {
    Packed<KV, 8> packed = pack(s_v.template load_vec<8>(at));
    for (uint32_t& pair : packed.x) pair &= ~not_finite<KV>(pair);
    Vec<KV, 8> v;
    memcpy(&v, &packed, sizeof v);
    s_v.template store_vec<8>(at, v);
  });
}

template <typename KV, int32_t kWidth, typename Rows>
__device__ inline void poison(Rows& rows, int32_t i, const Shared<KV>& s_v, int32_t begin, int32_t end) {
  for (int32_t s = begin; s < end; ++s) {
    LASTROW_UNROLL
    for (int32_t n = 0; n < kWidth / 8; ++n) {
      const Packed<KV, 2> packed = pack(s_v.template load_vec<2>(swizzled<kWidth, KV>(s, n) + rows.column()));
      const uint32_t bad = not_finite<KV>(packed.x[0]);
      float* const r_pair = &rows.r_acc[i / 2 * Rows::kEights + n].x[i % 2 * 2];
      if (bad & 0xFFFFu) r_pair[0] = std::numeric_limits<float>::quiet_NaN();
      if (bad & 0xFFFF0000u) r_pair[1] = std::numeric_limits<float>::quiet_NaN();
    }
  }
}

}  // namespace lastrow::LASTROW_TARGET
