// Stored elements of K/V widened to float, in pairs, by the instructions that the hardware has for it.
//
//   float x[8];  widen<8>(v, x);      v is a Vec<BFloat16, 8>: 16 bytes as they were loaded
//   bits = narrow_pair<Half>(x, y);   both rounded, x in the low half: what tensor cores take
//
// Widening is exact for every type, so both targets give the same bits (NaN stays NaN, with its own payload).
// int8 codes are widened without their row's scale: that goes into the score (K) or into p (V).
#pragma once

#include "cache/kv_codec.h"
#include "gpu/kernels/target.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#endif

namespace lastrow::LASTROW_TARGET {

#if defined(__CUDACC__)

__device__ inline void widen_pair(const float* p, float* x) { x[0] = p[0], x[1] = p[1]; }
__device__ inline void widen_pair(const Half* p, float* x) {
  const float2 pair = __half22float2({__ushort_as_half(p[0].bits), __ushort_as_half(p[1].bits)});
  x[0] = pair.x, x[1] = pair.y;
}
/// A bfloat16 is the upper half of its float: a shift and a mask.
__device__ inline void widen_pair(const BFloat16* p, float* x) {
  const uint32_t pair = uint32_t{p[1].bits} << 16 | p[0].bits;
  x[0] = __uint_as_float(pair << 16), x[1] = __uint_as_float(pair & 0xFFFF0000u);
}
/// One instruction to two halves (from sm_89 on), one more to floats.
__device__ inline void widen_pair(const Fp8E4M3* p, float* x) {
  const auto bits = static_cast<__nv_fp8x2_storage_t>(uint32_t{p[1].bits} << 8 | p[0].bits);
  const float2 pair = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(bits, __NV_E4M3)));
  x[0] = pair.x, x[1] = pair.y;
}
/// Without the conversion instruction, of which a multiprocessor starts only 16 a cycle: code + 128 as the
/// last byte of the float 2^23, less 2^23 + 128, which is exact.
__device__ inline void widen_pair(const int8_t* p, float* x) {
  const uint32_t biased = (uint32_t(uint8_t(p[1])) << 8 | uint8_t(p[0])) ^ 0x8080u;
  x[0] = __uint_as_float(__byte_perm(biased, 0x4B000000u, 0x7650)) - 8388736.0f;
  x[1] = __uint_as_float(__byte_perm(biased, 0x4B000000u, 0x7651)) - 8388736.0f;
}

template <typename KV>
__device__ inline uint32_t narrow_pair(float x, float y);
template <>
__device__ inline uint32_t narrow_pair<Half>(float x, float y) {
  const __half2 pair = __floats2half2_rn(x, y);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}
template <>
__device__ inline uint32_t narrow_pair<BFloat16>(float x, float y) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(x, y);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
}

#else

template <typename KV>
uint32_t narrow_pair(float x, float y) {
  KV low, high;
  encode_row(&x, 1, &low);
  encode_row(&y, 1, &high);
  return uint32_t{high.bits} << 16 | low.bits;
}

template <typename KV>
void widen_pair(const KV* p, float* x) {
  x[0] = decode(p[0]), x[1] = decode(p[1]);
}

#endif

/// An element alone: what a head_dim takes that no wide load divides.
template <typename KV>
__device__ inline float widen_one(KV x) {
  return decode(x, 1.0f);
}

/// v [n] → x [n].
template <int32_t n, typename KV>
__device__ inline void widen(const Vec<KV, n>& v, float* x) {
  if constexpr (n == 1) {
    x[0] = widen_one(v.x[0]);
  } else {
    for (int32_t e = 0; e < n; e += 2) widen_pair(v.x + e, x + e);
  }
}

/// Leaves v as it was loaded until x is known. Without it the compiler widens V while it waits for the
/// scores, into four times the registers, and spills. Costs no instruction.
template <typename KV, int32_t n>
__device__ inline void stay_narrow_until([[maybe_unused]] float x, [[maybe_unused]] Vec<KV, n>& v) {
#if defined(__CUDACC__)
  if constexpr (sizeof(v) == 16) {
    uint32_t words[4];
    memcpy(words, &v, sizeof v);
    asm volatile("" : "+r"(words[0]), "+r"(words[1]), "+r"(words[2]), "+r"(words[3]) : "f"(x));
    memcpy(&v, words, sizeof v);
  }
#endif
}

}  // namespace lastrow::LASTROW_TARGET
