// Makes operands for tensor cores from K and V as they are stored. A loaded matrix of 16-bit elements is an
// operand already. Elements of 8 bits lie two in one 16-bit place, and are widened to f16, which is exact for
// both types.
//
//   Operand<KV>                               what is multiplied: KV, or f16 if KV has 8 bits
//   FragmentB r_b[2][kOfLoad<KV> / 2];
//   key_fragments<KV>(m, r_b);                m of 16 keys × 32 bytes: [eight of keys][sixteen of dims]
//   FragmentB r_b[kOfLoad<KV>];
//   value_fragments<KV>(m, r_b);              m transposed, of 16 keys × 32 bytes: one fragment per 8 dims
//   d = 16 k + pair_of_dims<KV>(lane, e)      where the lane's pair e of sixteen dims lies, in q and in out
//
// Two 8-bit elements share one place, so the order of dims changes. With j = lane % 4, a lane gets the four
// neighbouring dims 4 j … 4 j + 3 of a key. Its fragment has columns 2 j, 2 j + 1, 2 j + 8 and 2 j + 9 there.
// A sum over dims may be taken in any order, so q uses the same order. Of values, a lane gets two dims of two
// keys. They become two fragments, one of even and one of odd dims, and the lane's four sums are neighbours
// again.
#pragma once

#include "gpu/parts/convert.h"
#include "gpu/target/tensor_cores.h"

namespace lastrow::LASTROW_TARGET {

template <typename KV>
using Operand = std::conditional_t<sizeof(KV) == 1, Half, KV>;
/// How many fragments four matrices hold.
template <typename KV>
constexpr int32_t kOfLoad = 4 / sizeof(KV);

template <typename KV>
__device__ inline int32_t pair_of_dims(int32_t lane, int32_t e) {
  return sizeof(KV) == 1 ? lane % 4 * 4 + 2 * e : 8 * e + lane % 4 * 2;
}

/// Widens the four bytes of a word to two pairs of f16: bytes (0, 1) and (2, 3), or if kEvenOdd (0, 2) and
/// (1, 3).
template <typename KV, bool kEvenOdd>
__device__ inline void widen_bytes(uint32_t word, uint32_t (&r_pairs)[2]) {
#if defined(__CUDACC__)
  if constexpr (std::is_same_v<KV, int8_t>) {
    // As in convert.h: makes code + 128 the last byte of the half 2^10, and subtracts 2^10 + 128.
    const uint32_t biased = word ^ 0x80808080u;
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t places = kEvenOdd ? 0x4240u + 0x0101u * i : 0x4140u + 0x0202u * i;
      const uint32_t raised = __byte_perm(biased, 0x64646464u, places);
      asm("sub.f16x2 %0, %1, %2;" : "=r"(r_pairs[i]) : "r"(raised), "r"(0x64806480u));
    }
  } else {
    const uint32_t ordered = kEvenOdd ? __byte_perm(word, 0, 0x3120u) : word;
    for (int32_t i = 0; i < 2; ++i) {
      const auto bits = static_cast<__nv_fp8x2_storage_t>(ordered >> 16 * i);
      const __half2_raw pair = __nv_cvt_fp8x2_to_halfraw2(bits, __NV_E4M3);
      memcpy(&r_pairs[i], &pair, sizeof pair);
    }
  }
#else
  float x[4];
  widen_word<KV>(word, x);
  for (int32_t i = 0; i < 2; ++i)
    r_pairs[i] = kEvenOdd ? narrow_pair<Half>(x[i], x[i + 2]) : narrow_pair<Half>(x[2 * i], x[2 * i + 1]);
#endif
}

template <typename KV>
__device__ inline void key_fragments(const Matrices& m, FragmentB (&r_b)[2][kOfLoad<KV> / 2]) {
  for (int32_t eight = 0; eight < 2; ++eight) {
    if constexpr (sizeof(KV) == 1)
      for (int32_t step = 0; step < 2; ++step)
        widen_bytes<KV, false>(m.x[2 * eight + step], r_b[eight][step].x);
    else
      r_b[eight][0] = {{m.x[2 * eight], m.x[2 * eight + 1]}};
  }
}

template <typename KV>
__device__ inline void value_fragments(const Matrices& m, FragmentB (&r_b)[kOfLoad<KV>]) {
  for (int32_t i = 0; i < 2; ++i) {
    if constexpr (sizeof(KV) == 1) {
      uint32_t r_first[2], r_last[2];  // eight keys each: even dims, odd dims
      widen_bytes<KV, true>(m.x[2 * i], r_first);
      widen_bytes<KV, true>(m.x[2 * i + 1], r_last);
      for (int32_t odd = 0; odd < 2; ++odd) r_b[2 * i + odd] = {{r_first[odd], r_last[odd]}};
    } else {
      r_b[i] = {{m.x[2 * i], m.x[2 * i + 1]}};
    }
  }
}

}  // namespace lastrow::LASTROW_TARGET
