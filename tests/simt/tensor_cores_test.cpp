// The emulator's tensor cores: first a product that can be read by eye, then a whole tile against three
// loops, where ldmatrix puts each element, and kernels that use mma or ldmatrix wrongly.
#include <doctest/doctest.h>

#include <vector>

#include "core/random.h"
#include "tests/simt/outcome.h"

#include "gpu/target/tensor_cores.h"

namespace lastrow::emulated {
namespace {

template <typename T>
T narrow(float x) {
  T stored;
  encode_row(&x, 1, &stored);
  return stored;
}

template <typename T>
uint32_t pair(T low, T high) {
  return uint32_t{high.bits} << 16 | low.bits;
}

/// c [16, 8] += a [16, 16] · b [16, 8]; each lane takes its elements by the tables in the header.
template <typename T>
__global__ void product(Global<const T> g_a, Global<const T> g_b, Global<float> g_c) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x), r = lane / 4, c = lane % 4 * 2;
  const auto a_pair = [&](int32_t row, int32_t k) {
    return pair(g_a.load(row * 16 + k), g_a.load(row * 16 + k + 1));
  };
  const auto b_pair = [&](int32_t k) { return pair(g_b.load(k * 8 + r), g_b.load((k + 1) * 8 + r)); };
  const FragmentA a{{a_pair(r, c), a_pair(r + 8, c), a_pair(r, c + 8), a_pair(r + 8, c + 8)}};
  const FragmentB b{{b_pair(c), b_pair(c + 8)}};
  FragmentC sum;
  for (int32_t i = 0; i < 4; ++i) sum.x[i] = g_c.load((r + i / 2 * 8) * 8 + c + i % 2);
  multiply_add<T>(sum, a, b);
  for (int32_t i = 0; i < 4; ++i) g_c.store((r + i / 2 * 8) * 8 + c + i % 2, sum.x[i]);
}

template <typename T>
simt::KernelTraffic run_product(const std::vector<T>& a, const std::vector<T>& b, std::vector<float>& c) {
  simt::Device device(1);
  device.watch({.check = true, .report = true});
  launch(Kernel{"product", product<T>}, {1}, {32}, 0, &device, Global<const T>(a.data(), 256, "g_a"),
         Global<const T>(b.data(), 128, "g_b"), Global<float>(c.data(), 128, "g_c"));
  return device.traffic().at(0);
}

TEST_CASE_TEMPLATE("the identity times 10 · k + n, plus 1000", T, Half, BFloat16) {
  std::vector<T> a(256, narrow<T>(0)), b(128);
  for (int32_t k = 0; k < 16; ++k) {
    a[k * 16 + k] = narrow<T>(1);
    for (int32_t n = 0; n < 8; ++n) b[k * 8 + n] = narrow<T>(static_cast<float>(10 * k + n));
  }
  std::vector<float> c(128, 1000);
  CHECK(run_product(a, b, c).n_mmas == 1);
  CHECK(c[0] == 1000);  // row 0: 1000 1001 … 1007
  CHECK(c[7] == 1007);
  CHECK(c[1 * 8 + 0] == 1010);  // row 1: 1010 …
  CHECK(c[9 * 8 + 5] == 1095);
  CHECK(c[15 * 8 + 7] == 1157);
}

TEST_CASE_TEMPLATE("a whole tile, with products added in float, equals three loops", T, Half, BFloat16) {
  const simt::UseProductSum use(simt::ProductSum::rounded);
  Random random(5);
  std::vector<T> a(256), b(128);
  for (T& x : a) x = narrow<T>(static_cast<float>(random.normal()));
  for (T& x : b) x = narrow<T>(static_cast<float>(random.normal()));
  std::vector<float> c(128), expected(128);
  for (size_t i = 0; i < 128; ++i) expected[i] = c[i] = static_cast<float>(random.normal());
  for (int32_t m = 0; m < 16; ++m)
    for (int32_t n = 0; n < 8; ++n) {
      float sum = 0;
      for (int32_t k = 0; k < 16; ++k) sum += decode(a[m * 16 + k]) * decode(b[k * 8 + n]);
      expected[m * 8 + n] += sum;
    }
  run_product(a, b, c);
  for (size_t i = 0; i < 128; ++i) CHECK(c[i] == expected[i]);
}

// ---- ldmatrix

/// 32 rows of 8: element `column` of row `row` is 10 · row + column.
/// out [lane, 8]: the four pairs of each lane.
__global__ void load(bool transposed, Global<int> g_out) {
  LASTROW_SHARED(Half, s_x, 32 * 8);
  const int32_t lane = static_cast<int32_t>(threadIdx.x);
  for (int32_t e = 0; e < 8; ++e) s_x.store(lane * 8 + e, Half{static_cast<uint16_t>(10 * lane + e)});
  __syncwarp();  // all rows are written before any is loaded
  const Matrices m = transposed ? load_matrices_transposed(s_x, lane * 8) : load_matrices(s_x, lane * 8);
  for (int32_t i = 0; i < 4; ++i) {
    g_out.store(lane * 8 + 2 * i, static_cast<int>(m.x[i] & 0xFFFFu));
    g_out.store(lane * 8 + 2 * i + 1, static_cast<int>(m.x[i] >> 16));
  }
}

TEST_CASE("lane 0 gets the first two elements of each matrix, lane 31 the last two of its last row") {
  std::vector<int> out(256);
  simt::Device device(1);
  device.watch({.check = true});
  launch(Kernel{"load", load}, {1}, {32}, 0, &device, false, Global<int>(out.data(), 256, "g_out"));
  CHECK(out[0] == 0);  // matrix 0, row 0: elements 0 and 1
  CHECK(out[1] == 1);
  CHECK(out[2] == 80);   // matrix 1 begins at row 8
  CHECK(out[6] == 240);  // matrix 3 at row 24
  for (int32_t lane = 0; lane < 32; ++lane)
    for (int32_t i = 0; i < 4; ++i)
      for (int32_t e = 0; e < 2; ++e)
        CHECK(out[lane * 8 + 2 * i + e] == 10 * (8 * i + lane / 4) + lane % 4 * 2 + e);
}

TEST_CASE("transposed, lane 0 gets the first elements of rows 0 and 1") {
  std::vector<int> out(256);
  simt::Device device(1);
  device.watch({.check = true});
  launch(Kernel{"load", load}, {1}, {32}, 0, &device, true, Global<int>(out.data(), 256, "g_out"));
  CHECK(out[0] == 0);
  CHECK(out[1] == 10);
  for (int32_t lane = 0; lane < 32; ++lane)
    for (int32_t i = 0; i < 4; ++i)
      for (int32_t e = 0; e < 2; ++e)
        CHECK(out[lane * 8 + 2 * i + e] == 10 * (8 * i + lane % 4 * 2 + e) + lane / 4);
}

/// Rows of 64 elements. `swizzled`: the 16-byte steps of row r are at places xor r.
__global__ void columns(bool swizzled) {
  LASTROW_SHARED(Half, s_x, 32 * 64);
  const int32_t row = static_cast<int32_t>(threadIdx.x);
  load_matrices(s_x, row * 64 + (swizzled ? 3 ^ row % 8 : 3) * 8);
}

TEST_CASE("eight rows of 128 bytes take eight passes per matrix, swizzled rows take one") {
  for (const bool swizzled : {false, true}) {
    simt::Device device(1);
    device.watch({.report = true});
    launch(Kernel{"columns", columns}, {1}, {32}, 0, &device, swizzled);
    const simt::SiteTraffic& site = device.traffic().at(0).sites.at(0);
    CHECK(site.lane_bytes == 16);
    CHECK(site.n_executions == 1);
    CHECK(site.n_passes == (swizzled ? 4 : 32));
    CHECK(site.n_best_passes == 4);
  }
}

// ---- broken kernels, each next to a correct version of the kernel

enum class Absent { nobody, returned, elsewhere, waits };

__global__ void without_a_lane(Absent how) {
  const bool it = threadIdx.x == 9;
  if (how == Absent::returned && it) return;
  FragmentC c{};
  if (how == Absent::elsewhere && it)
    multiply_add<Half>(c, {}, {});
  else if (!(how == Absent::waits && it))
    multiply_add<Half>(c, {}, {});
  __syncwarp();  // where the lane that skips the product waits
}

TEST_CASE("a product without all 32 lanes in one instruction is reported") {
  CHECK_FALSE(run(without_a_lane, 32, Absent::nobody).found);
  const Outcome left = run(without_a_lane, 32, Absent::returned);
  CHECK(left.finding == simt::Finding::absent_lane);
  CHECK(contains(left.message, "mma.sync takes all 32 lanes of a warp, but lane 9 has returned"));
  const Outcome elsewhere = run(without_a_lane, 32, Absent::elsewhere);
  CHECK(elsewhere.finding == simt::Finding::absent_lane);
  CHECK(contains(elsewhere.message, "in one instruction, but lane"));
  const Outcome waits = run(without_a_lane, 32, Absent::waits);
  CHECK(waits.finding == simt::Finding::absent_lane);
  CHECK(contains(waits.message, "mma.sync with mask 0xffffffff waits for lane 9, which waits in __syncwarp"));
  CHECK(run(without_a_lane, 40, Absent::nobody).finding == simt::Finding::absent_lane);
}

enum class Fault { none, absent, misaligned, outside, unwritten, unordered };

__global__ void wrong_load(Fault fault) {
  LASTROW_SHARED(BFloat16, s_x, 33 * 8);
  const int32_t lane = static_cast<int32_t>(threadIdx.x);
  for (int32_t e = 0; e < 8; ++e)
    if (fault != Fault::unwritten || lane != 20 || e != 3) s_x.store(lane * 8 + e, BFloat16{0});
  __syncwarp();  // all rows are written before any is loaded
  if (fault == Fault::unordered) s_x.store((lane ^ 1) * 8, BFloat16{0});  // a row that a neighbour loads
  if (fault == Fault::absent && lane == 30) return;
  load_matrices(s_x, lane * 8 + (fault == Fault::misaligned && lane == 12 ? 4
                                 : fault == Fault::outside && lane == 12  ? 33 * 8
                                                                          : 0));
}

TEST_CASE("a matrix load that lacks a lane, or whose row is misaligned, outside, unwritten or in a race") {
  CHECK_FALSE(run(wrong_load, 32, Fault::none).found);
  const Outcome absent = run(wrong_load, 32, Fault::absent);
  CHECK(absent.finding == simt::Finding::absent_lane);
  CHECK(contains(absent.message, "ldmatrix takes all 32 lanes of a warp, but lane 30 has returned"));
  const Outcome misaligned = run(wrong_load, 32, Fault::misaligned);
  CHECK(misaligned.finding == simt::Finding::misaligned);
  CHECK(contains(misaligned.message, "moves 16 bytes at s_x[100], whose address is not a multiple of 16"));
  CHECK(run(wrong_load, 32, Fault::outside).finding == simt::Finding::out_of_bounds);
  const Outcome unwritten = run(wrong_load, 32, Fault::unwritten);
  CHECK(unwritten.finding == simt::Finding::uninitialised_shared);
  CHECK(contains(unwritten.message, "reads s_x[163], which no thread has written"));
  CHECK(run(wrong_load, 32, Fault::unordered).finding == simt::Finding::shared_race);
}

}  // namespace
}  // namespace lastrow::emulated
