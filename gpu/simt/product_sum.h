// How a tensor core adds products: a rule that a test can change.
//
//   multiply_add_tile(a, b, c);                            c [16, 8] += a [16, 16] · b [16, 8]
//   const UseProductSum rounded(ProductSum::rounded);      this rule until the end of its scope
//   ProductSum rule = product_sum();                       the current rule
//
// Never change the rule while a kernel runs: all threads of all devices follow the same rule.
//
// A product of two operands is exact. NVIDIA does not document how tensor cores add the products, but others
// have measured it. One step adds c and some products at once, as fixed-point numbers:
//
//   1. The largest exponent of c and of the products decides where the fixed point is. The exponent of a
//      product is the sum of the exponents of its operands, so a product may be nearly four times 2^exponent.
//   2. Each addend is cut off toward 0: only some bits below 2^exponent are kept ("bits kept").
//   3. The sum of these is exact. It is cut off toward 0 to a float, which is c of the next step.
//
//   rule      products / step   bits kept   2^24 + 16 · 1   2^24 + 16 · ½   2^24 + 16 · ¼
//   rounded          16            all        2^24 + 16       2^24 + 8        2^24 + 4
//   volta             4             23        2^24            2^24            2^24           V100
//   ampere            8             24        2^24 + 16       2^24            2^24           A100
//   hopper           16             25        2^24 + 16       2^24 + 8        2^24           H100, H200
//
// (c is 2^24, and all products are the same.) `rounded` adds the products as floats, in order, then c, and
// rounds each time to nearest.
//
// The error always has the same sign, so it grows with the number of steps if c stays in a tensor core.
// If an operand or c is infinite or NaN, the sum is that of IEEE. A sum of zeros has the sign of IEEE.
//
// Sources: Fasi, Higham, Mikaitis and Pranesh 2021, "Numerical behavior of NVIDIA tensor cores", PeerJ
// Computer Science 7:e330 (V100, A100: alignment, truncation); Xie, Wang, Yang and Yang 2025, "MMA-Sim",
// arXiv 2511.10909, and Khattak and Mikaitis 2025, "Accurate Models of NVIDIA Tensor Cores", arXiv 2512.07004
// (bits and products per step up to H100, compared with hardware bit by bit). Not measured by us.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace lastrow::simt {

enum class ProductSum : uint8_t { rounded, volta, ampere, hopper };
constexpr ProductSum kDefaultProductSum = ProductSum::hopper;

ProductSum product_sum();

class UseProductSum {
 public:
  explicit UseProductSum(ProductSum rule);
  ~UseProductSum();
  UseProductSum(const UseProductSum&) = delete;
  UseProductSum& operator=(const UseProductSum&) = delete;

 private:
  ProductSum before_;
};

/// a [row, k]   b [k, column]   c [row, column]   T: Half or BFloat16
template <typename T>
void multiply_add_tile(const T (&a)[16][16], const T (&b)[16][8], float (&c)[16][8]);

extern template void multiply_add_tile<Half>(const Half (&)[16][16], const Half (&)[16][8], float (&)[16][8]);
extern template void multiply_add_tile<BFloat16>(const BFloat16 (&)[16][16], const BFloat16 (&)[16][8],
                                                 float (&)[16][8]);

}  // namespace lastrow::simt
