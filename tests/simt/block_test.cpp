// The emulator computes what a GPU would: first two kernels whose results can be read by eye,
// then the words of CUDA one by one.
#include <doctest/doctest.h>

#include <numeric>
#include <vector>

#include "gpu/target/target.h"
#include "tests/simt/outcome.h"

namespace lastrow::emulated {
namespace {

/// Each block reverses its 64 numbers, through shared memory.
__global__ void reverse(Global<int> g_x) {
  LASTROW_SHARED(int, s_x, 64);
  const int64_t first = blockIdx.x * 64;
  s_x.store(threadIdx.x, g_x.load(first + threadIdx.x));
  __syncthreads();  // all of s_x is written before any of it is read
  g_x.store(first + threadIdx.x, s_x.load(63 - threadIdx.x));
}

TEST_CASE("two blocks of 64 reverse their numbers") {
  std::vector<int> x(128);
  std::iota(x.begin(), x.end(), 0);
  simt::Device device(2);
  device.watch({.check = true, .report = true});
  launch(Kernel{"reverse", reverse}, {2}, {64}, 0, &device, Global<int>(x.data(), 128, "g_x"));
  CHECK(x[0] == 63);
  CHECK(x[63] == 0);
  CHECK(x[64] == 127);
  CHECK(x[127] == 64);
  REQUIRE(device.traffic().size() == 1);
  CHECK(device.traffic()[0].n_barriers == 2);
}

/// A butterfly: every lane ends with the sum of its segment of `width` lanes.
__global__ void sum(Global<float> g_x, int width) {
  float x = g_x.load(threadIdx.x);
  for (int flip = width / 2; flip > 0; flip /= 2) x += __shfl_xor_sync(kAll, x, flip, width);
  g_x.store(threadIdx.x, x);
}

TEST_CASE("a butterfly of shuffles sums 32 lanes, or each group of 8") {
  simt::Device device(1);
  std::vector<float> x(32);
  std::iota(x.begin(), x.end(), 0.0f);
  launch(Kernel{"sum", sum}, {1}, {32}, 0, &device, Global<float>(x.data(), 32, "g_x"), 32);
  for (const float total : x) CHECK(total == 496);
  std::iota(x.begin(), x.end(), 0.0f);
  launch(Kernel{"sum", sum}, {1}, {32}, 0, &device, Global<float>(x.data(), 32, "g_x"), 8);
  for (int i = 0; i < 32; ++i) CHECK(x[i] == i / 8 * 64 + 28);
}

__global__ void words(Global<int> g_out) {
  const int lane = static_cast<int>(threadIdx.x);
  g_out.store(lane, __shfl_sync(kAll, lane, 5));
  g_out.store(32 + lane, __shfl_up_sync(kAll, lane, 3));
  g_out.store(64 + lane, __shfl_down_sync(kAll, lane, 3, 16));
  g_out.store(96 + lane, static_cast<int>(__ballot_sync(kAll, lane % 2 == 0)));
  g_out.store(128 + lane, __any_sync(kAll, lane == 31) ? 1 : 0);
  g_out.store(160 + lane, __all_sync(kAll, lane < 31) ? 1 : 0);
}

TEST_CASE("shuffles and votes give the results that CUDA's give") {
  simt::Device device(1);
  std::vector<int> out(192);
  launch(Kernel{"words", words}, {1}, {32}, 0, &device, Global<int>(out.data(), 192, "g_out"));
  for (int lane = 0; lane < 32; ++lane) {
    CHECK(out[lane] == 5);
    CHECK(out[32 + lane] == (lane < 3 ? lane : lane - 3));
    CHECK(out[64 + lane] == (lane % 16 > 12 ? lane : lane + 3));
    CHECK(out[96 + lane] == 0x55555555);
    CHECK(out[128 + lane] == 1);
    CHECK(out[160 + lane] == 0);
  }
}

/// The two halves of the warp meet separately, and one lane that has nothing to do returns first.
__global__ void halves(Global<int> g_out) {
  const int lane = static_cast<int>(threadIdx.x);
  if (lane == 31) return;
  const uint32_t mask = lane < 16 ? 0x0000FFFFu : 0xFFFF0000u;
  g_out.store(lane, __shfl_sync(mask, lane, 0, 16));
  __syncwarp(mask);
}

TEST_CASE("parts of a warp meet separately, without lanes that have returned") {
  simt::Device device(1);
  std::vector<int> out(32, -1);
  launch(Kernel{"halves", halves}, {1}, {32}, 0, &device, Global<int>(out.data(), 32, "g_out"));
  for (int lane = 0; lane < 32; ++lane) CHECK(out[lane] == (lane == 31 ? -1 : lane < 16 ? 0 : 16));
}

__global__ void identity(Global<int> g_out, DynamicShared shared) {
  const Shared<int> s_rank = shared.take<int>(24, "s_rank");
  const uint32_t rank = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  s_rank.store(rank, static_cast<int>(rank));
  __syncthreads();  // the ranks are written before they are read
  const int64_t block = blockIdx.x + int64_t{gridDim.x} * (blockIdx.y + int64_t{gridDim.y} * blockIdx.z);
  g_out.store(block * 24 + rank, static_cast<int>(block) * 100 + s_rank.load(rank));
}

TEST_CASE("threads and blocks are numbered x fastest, in three dimensions") {
  simt::Device device(2);
  std::vector<int> out(24 * 12, -1);
  launch(Kernel{"identity", identity}, {2, 3, 2}, {4, 3, 2}, 24 * 4, &device,
         Global<int>(out.data(), static_cast<int64_t>(out.size()), "g_out"), DynamicShared{});
  for (int block = 0; block < 12; ++block)
    for (int rank = 0; rank < 24; ++rank) CHECK(out[block * 24 + rank] == block * 100 + rank);
}

__global__ void count(Global<int> g_n) { g_n.atomic_add(0, 1); }

TEST_CASE("atomics count every thread of every block, on any number of OS threads") {
  simt::Device device(4);
  int n = 0;
  launch(Kernel{"count", count}, {100}, {33}, 0, &device, Global<int>(&n, 1, "g_n"));
  CHECK(n == 3300);
}

TEST_CASE("a device can be used again after a failure, and with a larger block") {
  simt::Device device(2);
  std::vector<int> x(64);
  std::iota(x.begin(), x.end(), 0);
  CHECK_THROWS_AS(launch(Kernel{"reverse", reverse}, {2}, {64}, 0, &device, Global<int>(x.data(), 64, "g_x")),
                  simt::SimtError);
  std::iota(x.begin(), x.end(), 0);
  launch(Kernel{"reverse", reverse}, {1}, {64}, 0, &device, Global<int>(x.data(), 64, "g_x"));
  CHECK(x[0] == 63);
  int n = 0;
  launch(Kernel{"count", count}, {2}, {1024}, 0, &device, Global<int>(&n, 1, "g_n"));
  CHECK(n == 2048);
}

}  // namespace
}  // namespace lastrow::emulated
