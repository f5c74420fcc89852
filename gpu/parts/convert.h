// Widens stored elements of K/V to float, one word at a time, by the instructions that the hardware has for
// it. One by one would cost more: each byte of a word would first be moved to a register of its own.
//
//   Packed<BFloat16, 8> k = pack(v);  v is a Vec<BFloat16, 8> as it was loaded
//   float x[8];  widen<BFloat16, 8>(k, x);
//   bits = narrow_pair<Half>(x, y);   rounds both, x to the low half: the format that tensor cores take
//
// Widening is exact for every type, so both targets give the same bits (a NaN stays NaN and keeps its
// payload). int8 codes are widened without the scale of their row: that is multiplied into the score (K) or
// into p (V).
#pragma once

#include "cache/kv_codec.h"
#include "gpu/target/target.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#endif

namespace lastrow::LASTROW_TARGET {

#if defined(__CUDACC__)

/// Widens the elements of a word to x [4 / sizeof(KV)].
template <typename KV>
__device__ inline void widen_word(uint32_t word, float* x);
template <>
__device__ inline void widen_word<float>(uint32_t word, float* x) {
  x[0] = __uint_as_float(word);
}
template <>
__device__ inline void widen_word<Half>(uint32_t word, float* x) {
  __half2 halves;
  memcpy(&halves, &word, sizeof word);
  const float2 pair = __half22float2(halves);
  x[0] = pair.x, x[1] = pair.y;
}
/// A bfloat16 is the upper half of a float, so a shift and a mask are enough.
template <>
__device__ inline void widen_word<BFloat16>(uint32_t word, float* x) {
  x[0] = __uint_as_float(word << 16), x[1] = __uint_as_float(word & 0xFFFF0000u);
}
/// Two elements at a time: one instruction makes two halves (from sm_89 on), two more make floats.
template <>
__device__ inline void widen_word<Fp8E4M3>(uint32_t word, float* x) {
  for (int32_t i = 0; i < 2; ++i) {
    const auto bits = static_cast<__nv_fp8x2_storage_t>(word >> 16 * i);
    const float2 pair = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(bits, __NV_E4M3)));
    x[2 * i] = pair.x, x[2 * i + 1] = pair.y;
  }
}
/// Avoids the conversion instruction, of which a multiprocessor starts only 16 per cycle. It makes code + 128
/// the last byte of the float 2^23, and subtracts 2^23 + 128, which is exact.
template <>
__device__ inline void widen_word<int8_t>(uint32_t word, float* x) {
  const uint32_t biased = word ^ 0x80808080u;
  for (int32_t i = 0; i < 4; ++i)
    x[i] = __uint_as_float(__byte_perm(biased, 0x4B000000u, 0x7650u + i)) - 8388736.0f;
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
void widen_word(uint32_t word, float* x) {
  KV stored[4 / sizeof(KV)];
  memcpy(stored, &word, sizeof word);
  for (const KV& element : stored) *x++ = decode(element);
}

#endif

/// n elements as they are stored. A Vec<KV, n> that is kept from one round of a loop to the next would take a
/// register for each element.
template <typename KV, int32_t n>
using Packed = Vec<uint32_t, (n * sizeof(KV) + 3) / 4>;

template <typename KV, int32_t n>
__device__ inline Packed<KV, n> pack(const Vec<KV, n>& v) {
  Packed<KV, n> packed{};
  memcpy(&packed, &v, sizeof v);
  return packed;
}

/// Widens packed [n] to x [n].
template <typename KV, int32_t n>
__device__ inline void widen(const Packed<KV, n>& packed, float* x) {
  if constexpr (n == 1) {
    KV element;
    memcpy(&element, &packed, sizeof element);
    x[0] = decode(element, 1.0f);
  } else {
    constexpr int32_t kOfWord = 4 / sizeof(KV);
    for (int32_t i = 0; i < n / kOfWord; ++i) widen_word<KV>(packed.x[i], x + i * kOfWord);
  }
}

/// Keeps the compiler from widening v before x is known. It would widen V while it waits for the scores,
/// which takes four times the registers, and would spill. Costs no instruction.
template <int32_t n>
__device__ inline void stay_narrow_until([[maybe_unused]] float x, [[maybe_unused]] Vec<uint32_t, n>& v) {
#if defined(__CUDACC__)
  for (int32_t i = 0; i < n; ++i) asm volatile("" : "+r"(v.x[i]) : "f"(x));
#endif
}

}  // namespace lastrow::LASTROW_TARGET
