// The two instructions of tensor cores that k11 and k12 use. One loads 8×8 matrices from shared memory into
// the registers of a warp; the other multiplies two small matrices that are there.
//
//   Matrices m = load_matrices(s_k, at);                loads four 8×8 matrices of T. Lane l gives row l % 8
//                                                       of matrix l / 8: 16 bytes from element `at`, aligned
//   Matrices m = load_matrices_transposed(s_v, at);     the same, and transposes each matrix
//   multiply_add<T>(c, a, b);                           c [16, 8] += a [16, 16] · b [16, 8], summed in float
//
// T is Half or BFloat16. A load may also take bytes; then two bytes take the place of one element. All 32 lanes of
// the warp must execute the same instruction, so never call these in a branch that divides a warp.
//
// A matrix is spread over the registers of all lanes. A register holds two neighbours of 16 bits, the first
// in its low half. With r = lane / 4 and c = lane % 4 · 2, a lane holds
//
//   A [16, 16]   x[0]: [r][c, c + 1]               x[1]: [r + 8][c, c + 1]
//                x[2]: [r][c + 8, c + 9]           x[3]: [r + 8][c + 8, c + 9]
//   B [16, 8]    x[0]: [c, c + 1][r]               x[1]: [c + 8, c + 9][r]
//   C [16, 8]    x[0], x[1]: [r][c], [r][c + 1]    x[2], x[3]: [r + 8][c], [r + 8][c + 1]
//   loaded       x[i]: [r][c, c + 1] of matrix i   transposed: [c, c + 1][r] of matrix i
//
// So a K tile [key, dim] is a B when it is loaded as it is, and a V tile [key, dim] is a B when it is loaded
// transposed. A C of scores, narrowed, is an A of weights. No lane has to give anything to another.
//
// A product of two such elements is exact. The hardware truncates when it adds, and c is one of the addends.
// So the error always has the same sign, and it grows if c goes from product to product. The emulator does
// the same, by the rule of simt/product_sum.h.
// Source: PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type" and "ldmatrix"; sm_80 and on.
#pragma once

#include "cache/kv_codec.h"
#include "gpu/target/target.h"
#if !defined(__CUDACC__)
#include "gpu/simt/product_sum.h"
#endif

namespace lastrow::LASTROW_TARGET {

struct FragmentA {
  uint32_t x[4];
};
struct FragmentB {
  uint32_t x[2];
};
struct FragmentC {
  float x[4];
};
struct Matrices {
  uint32_t x[4];
};

#if defined(__CUDACC__)

template <typename T>
__device__ inline Matrices load_matrices(Shared<T> from, int64_t at) {
  static_assert(sizeof(T) <= 2);
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(from.pointer(at)));
  Matrices m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m.x[0]), "=r"(m.x[1]), "=r"(m.x[2]), "=r"(m.x[3])
               : "r"(address)
               : "memory");
  return m;
}
template <typename T>
__device__ inline Matrices load_matrices_transposed(Shared<T> from, int64_t at) {
  static_assert(sizeof(T) <= 2);
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(from.pointer(at)));
  Matrices m;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m.x[0]), "=r"(m.x[1]), "=r"(m.x[2]), "=r"(m.x[3])
               : "r"(address)
               : "memory");
  return m;
}

template <typename T>
__device__ inline void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b);
template <>
__device__ inline void multiply_add<Half>(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
}
template <>
__device__ inline void multiply_add<BFloat16>(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c.x[0]), "+f"(c.x[1]), "+f"(c.x[2]), "+f"(c.x[3])
      : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b.x[0]), "r"(b.x[1]));
}

#else

namespace emulation {

struct Load {
  uint16_t row[8];  // the row whose place this lane gave
  Matrices loaded;
};

template <bool kTransposed>
void exchange_matrices(void* const (&brought)[simt::kWarpSize]) {
  const auto element = [&](int32_t matrix, int32_t row, int32_t column) -> uint32_t {
    return static_cast<const Load*>(brought[matrix * 8 + row])->row[column];
  };
  for (int32_t lane = 0; lane < simt::kWarpSize; ++lane)
    for (int32_t i = 0; i < 4; ++i) {
      const int32_t r = lane / 4, c = lane % 4 * 2;
      const uint32_t low = kTransposed ? element(i, c, r) : element(i, r, c),
                     high = kTransposed ? element(i, c + 1, r) : element(i, r, c + 1);
      static_cast<Load*>(brought[lane])->loaded.x[i] = high << 16 | low;
    }
}

template <bool kTransposed, typename T>
Matrices load(Shared<T> from, int64_t at, Here here) {
  static_assert(sizeof(T) <= 2);
  const Vec<T, 16 / sizeof(T)> v = from.template load_vec<16 / sizeof(T)>(at, here);
  Load load;
  std::memcpy(load.row, &v, sizeof load.row);
  simt::self().block->meet_all(simt::Wait::ldmatrix, exchange_matrices<kTransposed>, &load, here);
  return load.loaded;
}

struct Product {
  FragmentA a;
  FragmentB b;
  FragmentC c;
};

template <typename T>
void exchange_product(void* const (&brought)[simt::kWarpSize]) {
  const auto half = [](uint32_t pair, int32_t e) { return T{static_cast<uint16_t>(pair >> 16 * e)}; };
  T a[16][16], b[16][8];
  float sum[16][8];
  for (int32_t lane = 0; lane < simt::kWarpSize; ++lane) {
    const auto& product = *static_cast<const Product*>(brought[lane]);
    const int32_t r = lane / 4, c = lane % 4 * 2;
    for (int32_t i = 0; i < 4; ++i)
      for (int32_t e = 0; e < 2; ++e) a[r + i % 2 * 8][c + i / 2 * 8 + e] = half(product.a.x[i], e);
    for (int32_t i = 0; i < 2; ++i)
      for (int32_t e = 0; e < 2; ++e) b[c + i * 8 + e][r] = half(product.b.x[i], e);
    for (int32_t i = 0; i < 4; ++i) sum[r + i / 2 * 8][c + i % 2] = product.c.x[i];
  }
  simt::multiply_add_tile(a, b, sum);
  for (int32_t lane = 0; lane < simt::kWarpSize; ++lane)
    for (int32_t i = 0; i < 4; ++i)
      static_cast<Product*>(brought[lane])->c.x[i] = sum[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

}  // namespace emulation

template <typename T>
Matrices load_matrices(Shared<T> from, int64_t at, Here here = Here::current()) {
  return emulation::load<false>(from, at, here);
}
template <typename T>
Matrices load_matrices_transposed(Shared<T> from, int64_t at, Here here = Here::current()) {
  return emulation::load<true>(from, at, here);
}
template <typename T>
void multiply_add(FragmentC& c, const FragmentA& a, const FragmentB& b, Here here = Here::current()) {
  emulation::Product product{a, b, c};
  simt::self().block->meet_all(simt::Wait::mma, emulation::exchange_product<T>, &product, here);
  c = product.c;
}

#endif

}  // namespace lastrow::LASTROW_TARGET
