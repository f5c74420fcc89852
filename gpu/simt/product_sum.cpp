#include "gpu/simt/product_sum.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/conversions.h"

namespace lastrow::simt {
namespace {

std::atomic<ProductSum> in_force = kDefaultProductSum;

constexpr int32_t kRows = 16, kProducts = 16, kColumns = 8;
constexpr int32_t kNoExponent = -2000;    // of 0; plus any other exponent it is still below kLeastExponent
constexpr int32_t kLeastExponent = -300;  // below that of any product that is not 0

/// Number of fraction bits; bias and largest value of the exponent field.
template <typename T>
struct Format;
template <>
struct Format<Half> {
  static constexpr int32_t kFraction = 10, kBias = 15, kLargest = 0x1F;
};
template <>
struct Format<BFloat16> {
  static constexpr int32_t kFraction = 7, kBias = 127, kLargest = 0xFF;
};
template <>
struct Format<float> {
  static constexpr int32_t kFraction = 23, kBias = 127, kLargest = 0xFF;
};

/// Eight numbers, one per column. The compiler makes vector code for operations on all of them.
using Ints = int32_t __attribute__((vector_size(4 * kColumns)));
using Floats = float __attribute__((vector_size(4 * kColumns)));
using Longs = int64_t __attribute__((vector_size(8 * kColumns)));
using Doubles = double __attribute__((vector_size(8 * kColumns)));

template <typename To, typename From>
void copy_bits(const From& from, To& to) {
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&to, &from, sizeof to);
}

/// Eight numbers ± significand · 2^(exponent − kFraction); sign is 0 for plus and −1 for minus.
struct Parts {
  Ints exponent, significand, sign;
};

/// Takes numbers of type T apart, given their bits. Sets not_finite to −1 where one is infinite or NaN.
template <typename T>
void take_apart(const Ints& bits, Parts& x, Ints& not_finite) {
  using F = Format<T>;
  const Ints field = bits >> F::kFraction & F::kLargest, fraction = bits & ((1 << F::kFraction) - 1);
  x.significand = fraction | ((field > 0) & 1 << F::kFraction);
  x.exponent = x.significand == 0 ? Ints{} + kNoExponent : (field > 0 ? field : Ints{} + 1) - F::kBias;
  x.sign = -(bits >> (8 * static_cast<int32_t>(sizeof(T)) - 1) & 1);
  not_finite |= field == F::kLargest;
}
template <typename T>
void take_apart(const T* eight, Parts& x, Ints& not_finite) {
  Ints bits;
  for (int32_t n = 0; n < kColumns; ++n) bits[n] = eight[n].bits;
  take_apart<T>(bits, x, not_finite);
}

/// x = total · 2^exponent, cut off toward 0 to a float; ∞ from 2^128 on. |total| < 2^53.
void cut_off(const Doubles& total, const Ints& exponent, Floats& x) {
  const Longs unit_bits = (__builtin_convertvector(exponent, Longs) + 1023) << 52;
  Doubles unit, kept;
  Longs bits;
  copy_bits(unit_bits, unit);
  const Doubles exact = total * unit;
  copy_bits(exact, bits);
  bits &= ~((int64_t{1} << 29) - 1);  // clears the fraction bits that a float does not have
  copy_bits(bits, kept);
  x = __builtin_convertvector(kept, Floats);
  for (int32_t n = 0; n < kColumns; ++n)  // a subnormal float has fewer bits, so more must be cut off
    if (std::fabs(x[n]) <= 0x1p-126f && std::fabs(double{x[n]}) > std::fabs(kept[n]))
      x[n] = std::nextafter(x[n], 0.0f);
}

/// How many products can be added in 32 bits: each is below 4 · 2^25.
constexpr int32_t kAtOnce = 8;

/// Shifts the magnitudes x, whose exponents are lower by `below` than the largest one, to the right. This cuts off
/// their last bits. Then gives them their signs.
void align(const Ints& below, const Ints& sign, Ints& x) {
  x >>= below < 31 ? below : Ints{} + 31;
  x = (x ^ sign) - sign;
}

/// c += row · b, in steps of kStep products; kBits below the largest exponent are kept.
/// All numbers are finite.
template <typename T, int32_t kStep, int32_t kBits>
void add_row(const Parts (&row)[2], const Parts (&b)[kProducts], Floats& c) {
  constexpr int32_t kAlign = kBits - 2 * Format<T>::kFraction, kAlignC = kBits - Format<float>::kFraction;
  for (int32_t first = 0; first < kProducts; first += kStep) {
    Parts old;
    Ints c_bits, unused{};
    copy_bits(c, c_bits);
    take_apart<float>(c_bits, old, unused);
    Ints largest = old.exponent;
    for (int32_t k = first; k < first + kStep; ++k) {
      const Ints exponent = b[k].exponent + row[k / 8].exponent[k % 8];
      largest = largest > exponent ? largest : exponent;
    }
    Ints kept = old.significand << kAlignC;
    align(largest - old.exponent, old.sign, kept);
    Doubles total = __builtin_convertvector(kept, Doubles);
    for (int32_t k0 = first; k0 < first + kStep; k0 += kAtOnce) {
      Ints sum{};
      for (int32_t k = k0; k < k0 + std::min(kStep, kAtOnce); ++k) {
        const Parts& x = row[k / 8];
        Ints product = b[k].significand * (x.significand[k % 8] << kAlign);
        align(largest - (b[k].exponent + x.exponent[k % 8]), b[k].sign ^ x.sign[k % 8], product);
        sum += product;
      }
      total += __builtin_convertvector(sum, Doubles);
    }
    Floats added;
    const Ints all_zero = largest < kLeastExponent;  // then c stays as it is
    cut_off(total, (all_zero ? Ints{} : largest) - kBits, added);
    c = all_zero ? c : added;
  }
}

/// c + Σ a · b by the rules of IEEE, for infinities, NaN and zeros.
template <typename T>
float special(float c, const T (&row)[kProducts], const T (&b)[kProducts][kColumns], int32_t column) {
  double sum = c;
  for (int32_t k = 0; k < kProducts; ++k) sum += double{to_float(row[k])} * double{to_float(b[k][column])};
  return static_cast<float>(sum);
}

bool any(const Ints& mask) {
  int32_t all = 0;
  for (int32_t n = 0; n < kColumns; ++n) all |= mask[n];
  return all != 0;
}

template <typename T, int32_t kStep, int32_t kBits>
void add_truncated(const T (&a)[kRows][kProducts], const T (&b)[kProducts][kColumns],
                   float (&c)[kRows][kColumns]) {
  Parts split_b[kProducts];
  Ints b_not_finite{};
  for (int32_t k = 0; k < kProducts; ++k) take_apart<T>(b[k], split_b[k], b_not_finite);

  for (int32_t m = 0; m < kRows; ++m) {
    Parts row[2];
    Ints row_not_finite{};
    for (int32_t half = 0; half < 2; ++half) take_apart<T>(&a[m][8 * half], row[half], row_not_finite);
    Floats old, sum;
    copy_bits(c[m], old);
    sum = old;
    if (any(row[0].significand | row[1].significand)) add_row<T, kStep, kBits>(row, split_b, sum);
    copy_bits(sum, c[m]);

    Ints old_bits, sum_bits;
    copy_bits(old, old_bits);
    copy_bits(sum, sum_bits);
    const Ints minus_zero = sum_bits == std::numeric_limits<int32_t>::min();
    Ints is_special = b_not_finite | minus_zero | ((old_bits & 0x7F800000) == 0x7F800000);
    if (any(row_not_finite)) is_special = ~Ints{};
    if (any(is_special))
      for (int32_t n = 0; n < kColumns; ++n)
        if (is_special[n] != 0) c[m][n] = special(old[n], a[m], b, n);
  }
}

template <typename T>
void add_rounded(const T (&a)[kRows][kProducts], const T (&b)[kProducts][kColumns],
                 float (&c)[kRows][kColumns]) {
  float wide_b[kProducts][kColumns];
  for (int32_t k = 0; k < kProducts; ++k)
    for (int32_t n = 0; n < kColumns; ++n) wide_b[k][n] = to_float(b[k][n]);
  for (int32_t m = 0; m < kRows; ++m) {
    float sum[kColumns] = {};
    for (int32_t k = 0; k < kProducts; ++k)
      for (int32_t n = 0; n < kColumns; ++n) sum[n] += to_float(a[m][k]) * wide_b[k][n];
    for (int32_t n = 0; n < kColumns; ++n) c[m][n] += sum[n];
  }
}

}  // namespace

ProductSum product_sum() { return in_force.load(std::memory_order_relaxed); }

UseProductSum::UseProductSum(ProductSum rule) : before_(in_force.exchange(rule)) {}
UseProductSum::~UseProductSum() { in_force = before_; }

template <typename T>
void multiply_add_tile(const T (&a)[kRows][kProducts], const T (&b)[kProducts][kColumns],
                       float (&c)[kRows][kColumns]) {
  switch (product_sum()) {
    case ProductSum::rounded:
      return add_rounded(a, b, c);
    case ProductSum::volta:
      return add_truncated<T, 4, 23>(a, b, c);
    case ProductSum::ampere:
      return add_truncated<T, 8, 24>(a, b, c);
    case ProductSum::hopper:
      return add_truncated<T, 16, 25>(a, b, c);
  }
}

template void multiply_add_tile<Half>(const Half (&)[16][16], const Half (&)[16][8], float (&)[16][8]);
template void multiply_add_tile<BFloat16>(const BFloat16 (&)[16][16], const BFloat16 (&)[16][8],
                                          float (&)[16][8]);

}  // namespace lastrow::simt
