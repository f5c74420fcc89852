// What tensor cores keep of a sum of products, and what they cut off: first sums that can be read by eye,
// then every rule against a second version of a few lines, which adds in long integers.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/conversions.h"
#include "core/random.h"
#include "gpu/simt/product_sum.h"

namespace lastrow::simt {
namespace {

constexpr ProductSum kRules[] = {ProductSum::rounded, ProductSum::volta, ProductSum::ampere,
                                 ProductSum::hopper};
constexpr ProductSum kTruncating[] = {ProductSum::volta, ProductSum::ampere, ProductSum::hopper};
constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <typename T>
T rounded(float x) {
  if constexpr (std::is_same_v<T, Half>) return to_half(x);
  if constexpr (std::is_same_v<T, BFloat16>) return to_bfloat16(x);
}

/// c + Σ products; each product is x · 1, and those that are not given are 0.
template <typename T = Half>
float sum(ProductSum rule, float c, const std::vector<float>& products) {
  T a[16][16] = {}, b[16][8];
  float tile[16][8] = {};
  for (auto& row : b)
    for (T& x : row) x = rounded<T>(1);
  for (size_t k = 0; k < products.size(); ++k) a[0][k] = rounded<T>(products[k]);
  tile[0][0] = c;
  const UseProductSum use(rule);
  multiply_add_tile(a, b, tile);
  return tile[0][0];
}
float sum_of_equal(ProductSum rule, float c, float product) {
  return sum(rule, c, std::vector<float>(16, product));
}

constexpr float k24 = 0x1p24f;  // above this, floats are 2 apart

TEST_CASE("the table of the header: 2^24 and sixteen products of 1, ½ or ¼") {
  CHECK(sum_of_equal(ProductSum::rounded, k24, 1) == k24 + 16);
  CHECK(sum_of_equal(ProductSum::rounded, k24, 0.5f) == k24 + 8);
  CHECK(sum_of_equal(ProductSum::rounded, k24, 0.25f) == k24 + 4);
  CHECK(sum_of_equal(ProductSum::volta, k24, 2) == k24 + 32);
  for (const float product : {1.0f, 0.5f, 0.25f}) CHECK(sum_of_equal(ProductSum::volta, k24, product) == k24);
  CHECK(sum_of_equal(ProductSum::ampere, k24, 1) == k24 + 16);
  CHECK(sum_of_equal(ProductSum::ampere, k24, 0.5f) == k24);
  CHECK(sum_of_equal(ProductSum::hopper, k24, 1) == k24 + 16);
  CHECK(sum_of_equal(ProductSum::hopper, k24, 0.5f) == k24 + 8);
  CHECK(sum_of_equal(ProductSum::hopper, k24, 0.25f) == k24);
}

TEST_CASE("the sum is cut off toward 0, whatever its sign") {
  for (const ProductSum rule : {ProductSum::ampere, ProductSum::hopper}) {
    CHECK(sum(rule, k24, {1, 1, 1}) == k24 + 2);  // 2^24 + 3
    CHECK(sum(rule, -k24, {-1, -1, -1}) == -k24 - 2);
    CHECK(sum(rule, k24, {-1}) == k24 - 1);  // below 2^24 floats are 1 apart
  }
  CHECK(sum(ProductSum::hopper, k24, {-0.5f}) == k24 - 1);   // 2^24 − ½ is not a float
  CHECK(sum(ProductSum::hopper, -k24, {0.5f}) == -k24 + 1);  // the same with the other sign
  CHECK(sum(ProductSum::rounded, k24, {-0.5f}) == k24);      // to nearest
  CHECK(sum(ProductSum::hopper, k24, {-0.25f}) == k24);      // cut off before it is added
  CHECK(sum(ProductSum::hopper, -k24, {0.25f}) == -k24);
}

TEST_CASE("the largest exponent may be a product's; then a small c is cut off") {
  CHECK(sum(ProductSum::hopper, 0.25f, {0x1p14f, -0x1p14f}) == 0.25f);         // 16 bits below: kept
  CHECK(sum(ProductSum::hopper, 0x1p-11f, {0x1p14f, -0x1p14f}) == 0x1p-11f);   // 25 below: the last kept
  CHECK(sum(ProductSum::hopper, 0x1p-12f, {0x1p14f, -0x1p14f}) == 0);          // 26 below: gone
  CHECK(sum(ProductSum::ampere, 0x1p-11f, {0x1p14f, -0x1p14f}) == 0);          // 24 bits are kept
  CHECK(sum(ProductSum::rounded, 0x1p-12f, {0x1p14f, -0x1p14f}) == 0x1p-12f);  // c comes last
}

TEST_CASE("steps: V100 adds four products at once, A100 eight, H100 all") {
  // 2^14 − 2^14 leaves 0. If 2^-12 comes in a later step, it is the whole sum.
  const auto after = [](ProductSum rule, size_t n_between) {
    std::vector<float> products(3 + n_between, 0);
    products[0] = 0x1p14f, products[1] = -0x1p14f, products.back() = 0x1p-12f;
    return sum(rule, 0, products);
  };
  CHECK(after(ProductSum::volta, 1) == 0);  // products 0, 1 and 3
  CHECK(after(ProductSum::volta, 2) == 0x1p-12f);
  CHECK(after(ProductSum::ampere, 5) == 0);
  CHECK(after(ProductSum::ampere, 6) == 0x1p-12f);
  CHECK(after(ProductSum::hopper, 13) == 0);
}

TEST_CASE("infinities, NaN and zeros follow IEEE, by every rule") {
  for (const ProductSum rule : kRules) {
    CHECK(sum(rule, 1, {kInfinity}) == kInfinity);
    CHECK(sum(rule, 1, {5, -kInfinity}) == -kInfinity);
    CHECK(std::isnan(sum(rule, 1, {kInfinity, -kInfinity})));
    CHECK(std::isnan(sum(rule, 1, {NAN})));
    CHECK(sum(rule, kInfinity, {1}) == kInfinity);
    CHECK(sum(rule, kInfinity, {}) == kInfinity);
    CHECK(std::isnan(sum(rule, -kInfinity, {kInfinity})));
    CHECK(std::isnan(sum(rule, NAN, {1})));
    CHECK(std::isnan(sum(rule, NAN, {})));
    CHECK_FALSE(std::signbit(sum(rule, 0, {})));
    CHECK_FALSE(std::signbit(sum(rule, -0.0f, {})));  // −0 + 0 · 1
    CHECK_FALSE(std::signbit(sum(rule, 3, {-3})));
    CHECK(sum(rule, 7, {}) == 7);
  }
  for (const ProductSum rule : kTruncating)
    CHECK(std::signbit(sum(rule, -0.0f, std::vector<float>(16, -0.0f))));  // nothing but −0
}

TEST_CASE("an infinity changes only its own row or column") {
  Half a[16][16] = {}, b[16][8] = {};
  float c[16][8] = {};
  a[1][0] = a[2][0] = b[0][3] = b[0][4] = to_half(1.0f);
  a[1][1] = to_half(kInfinity);  // row 1: ∞ · 0 in every column but 4
  b[1][4] = to_half(kInfinity);  // column 4: 0 · ∞ in every row but 1
  c[2][3] = k24 + 2;
  a[2][2] = to_half(0.25f), b[2][3] = to_half(1.0f);  // 2^24 + 2 + 1¼, cut off to 2^24 + 2
  multiply_add_tile(a, b, c);
  for (int32_t n = 0; n < 8; ++n) CHECK(std::isnan(c[1][n]) == (n != 4));
  CHECK(c[1][4] == kInfinity);
  CHECK(c[2][3] == k24 + 2);
  CHECK(std::isnan(c[2][4]));
  CHECK(c[2][5] == 0);
}

TEST_CASE("subnormals are kept, and the largest float does not overflow") {
  constexpr float kLeast = std::numeric_limits<float>::denorm_min(), kMost = 0x1.fffffep127f;
  for (const ProductSum rule : kTruncating) {
    CHECK(sum(rule, 0, {0x1p-24f}) == 0x1p-24f);  // the least f16
    CHECK(sum(rule, kLeast, {}) == kLeast);
    CHECK(sum<BFloat16>(rule, 3 * kLeast, {0x1p-133f}) == 0x1p-133f + 3 * kLeast);
    CHECK(sum<BFloat16>(rule, kMost, {0x1p103f}) == kMost);  // half of the last bit: cut off
    CHECK(sum<BFloat16>(rule, kMost, {0x1p104f}) == kInfinity);
  }
}

// ---- against a second, slow version of the rules

struct Rule {
  int32_t n_products, n_bits;
};
Rule numbers_of(ProductSum rule) {
  return rule == ProductSum::volta ? Rule{4, 23} : rule == ProductSum::ampere ? Rule{8, 24} : Rule{16, 25};
}

int32_t exponent_of(float x, int32_t least) { return x == 0 ? -1000 : std::max(std::ilogb(x), least); }

template <typename T>
float expected(Rule rule, float c, const float* a, const float* b) {
  const int32_t least = std::is_same_v<T, Half> ? -14 : -126;
  for (int32_t first = 0; first < 16; first += rule.n_products) {
    int32_t largest = exponent_of(c, -126);
    for (int32_t k = first; k < first + rule.n_products; ++k)
      if (a[k] * b[k] != 0) largest = std::max(largest, exponent_of(a[k], least) + exponent_of(b[k], least));
    if (largest == -1000) continue;
    const auto units = [&](double x) { return std::trunc(std::ldexp(x, rule.n_bits - largest)); };
    double total = units(c);
    for (int32_t k = first; k < first + rule.n_products; ++k) total += units(double{a[k]} * double{b[k]});
    const double exact = std::ldexp(total, largest - rule.n_bits);
    const auto nearest = static_cast<float>(exact);
    c = std::fabs(nearest) > std::fabs(exact) ? std::nextafter(nearest, 0.0f) : nearest;
  }
  return c;
}

TEST_CASE_TEMPLATE("tiles of numbers of every size, element by element", T, Half, BFloat16) {
  Random random(3);
  for (const ProductSum rule : kTruncating)
    for (int32_t spread = 0; spread < 14; ++spread) {  // operands of 2^-spread … 2^spread
      const auto any = [&] {
        const auto exponent = static_cast<int32_t>(random.below(2 * spread + 1)) - spread;
        const float x = std::ldexp(static_cast<float>(random.normal()), exponent);
        return random.below(8) == 0 ? 0.0f : x;
      };
      T a[16][16], b[16][8];
      float c[16][8], before[16][8];
      for (auto& row : a)
        for (T& x : row) x = rounded<T>(any());
      for (auto& row : b)
        for (T& x : row) x = rounded<T>(any());
      for (int32_t m = 0; m < 16; ++m)
        for (int32_t n = 0; n < 8; ++n) before[m][n] = c[m][n] = any() * any();
      const UseProductSum use(rule);
      multiply_add_tile(a, b, c);
      int32_t n_different = 0;
      for (int32_t m = 0; m < 16; ++m)
        for (int32_t n = 0; n < 8; ++n) {
          float wide_a[16], wide_b[16];
          for (int32_t k = 0; k < 16; ++k) wide_a[k] = to_float(a[m][k]), wide_b[k] = to_float(b[k][n]);
          n_different += c[m][n] != expected<T>(numbers_of(rule), before[m][n], wide_a, wide_b);
        }
      CHECK(n_different == 0);
    }
}

TEST_CASE("a rule holds until the end of its scope") {
  CHECK(product_sum() == ProductSum::hopper);
  {
    const UseProductSum outer(ProductSum::rounded);
    const UseProductSum inner(ProductSum::volta);
    CHECK(product_sum() == ProductSum::volta);
  }
  CHECK(product_sum() == ProductSum::hopper);
}

}  // namespace
}  // namespace lastrow::simt
