// The emulator is tested too: one small broken kernel for each error that it must find, next to a correct version of
// the kernel. This file has barriers, shuffles, bounds and launches. races_test.cpp has what only the checks find.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/simt/outcome.h"

#include "gpu/target/target.h"

namespace lastrow::emulated {
namespace {

// ---- a barrier that some thread of the block does not reach

// These barriers order nothing, because no thread reads what another wrote.
__global__ void half_a_barrier(bool mended) {
  if (mended || threadIdx.x < 32) __syncthreads();
}
__global__ void two_barriers(bool) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
}
__global__ void leaves_early(bool mended) {
  if (!mended && threadIdx.x == 5) return;
  __syncthreads();
}

TEST_CASE("a barrier in a branch is reported, with the thread that is missing") {
  const Outcome o = run(half_a_barrier, 64, false);
  REQUIRE(o.found);
  CHECK(o.finding == Finding::barrier_not_reached);
  CHECK(contains(o.message, "broken, block (0, 0, 0), thread (0, 0, 0), findings_test.cpp:"));
  CHECK(contains(o.message, "32 of 64 threads wait in __syncthreads; thread (32, 0, 0) has returned"));
  CHECK_FALSE(run(half_a_barrier, 64, true).found);
  CHECK(run(leaves_early, 64, false).finding == Finding::barrier_not_reached);
  CHECK(contains(run(leaves_early, 64, false).message, "thread (5, 0, 0) has returned"));
  CHECK_FALSE(run(leaves_early, 64, true).found);
}

TEST_CASE("two barriers in two branches do not count as one") {
  const Outcome o = run(two_barriers, 64, true);
  REQUIRE(o.found);
  CHECK(o.finding == Finding::barrier_not_reached);
  CHECK(contains(o.message, "waits in another __syncthreads"));
}

// ---- a shuffle with an absent lane

__global__ void half_a_shuffle(bool mended, Global<int> g_x) {
  int x = g_x.load(threadIdx.x);
  if (mended || threadIdx.x < 16) x += __shfl_xor_sync(kAll, x, 1);
  g_x.store(threadIdx.x, x);
  __syncwarp();  // where the lanes that skip the shuffle wait
}
__global__ void outside_its_mask(bool mended) { __shfl_sync(mended ? kAll : 0x0000FFFFu, 1, 0); }
__global__ void from_outside_the_mask(bool mended) {
  if (threadIdx.x < 16) __shfl_sync(0x0000FFFFu, 1, mended ? 3 : 20);
}
__global__ void from_one_that_left(bool mended) {
  if (threadIdx.x == 7) return;
  __shfl_sync(kAll, 1, mended ? 6 : 7);
}

TEST_CASE("a shuffle that some lanes do not reach, or that takes from a lane outside of it, is reported") {
  std::vector<int> x(32);
  const Global<int> g_x(x.data(), 32, "g_x");
  const Outcome o = run(half_a_shuffle, 32, false, g_x);
  REQUIRE(o.found);
  CHECK(o.finding == Finding::absent_lane);
  CHECK(contains(o.message, "a shuffle with mask 0xffffffff waits for lane 16, which waits in __syncwarp"));
  CHECK_FALSE(run(half_a_shuffle, 32, true, g_x).found);
  CHECK(run(outside_its_mask, 32, false).finding == Finding::absent_lane);
  CHECK_FALSE(run(outside_its_mask, 32, true).found);
  CHECK(contains(run(from_outside_the_mask, 32, false).message, "takes the value of lane 20"));
  CHECK_FALSE(run(from_outside_the_mask, 32, true).found);
  CHECK(contains(run(from_one_that_left, 32, false).message, "lane 7, which has returned"));
  CHECK_FALSE(run(from_one_that_left, 32, true).found);
}

// ---- out of bounds, misaligned

__global__ void one_past(int i, Global<int> g_x) { g_x.store(i, 1); }
__global__ void one_past_shared(int i) {
  LASTROW_SHARED(float, s_x, 33);
  s_x.store(i, 1.0f);
}
__global__ void vector_at(int i, Global<const float> g_x) { g_x.load_vec<4>(i); }

TEST_CASE("an access outside of a global or shared array is reported with array, index and size") {
  std::vector<int> x(10);
  const Global<int> g_x(x.data(), 10, "g_x");
  CHECK_FALSE(run(one_past, 1, 9, g_x).found);
  for (const int i : {10, -1}) {
    const Outcome o = run(one_past, 1, i, g_x);
    CHECK(o.finding == Finding::out_of_bounds);
    CHECK(contains(o.message, "out of bounds: writes g_x[" + std::to_string(i) + "] of 10 elements"));
  }
  CHECK_FALSE(run(one_past_shared, 1, 32).found);
  CHECK(contains(run(one_past_shared, 1, 33).message, "writes s_x[33] of 33 elements"));
  alignas(16) float y[10] = {};
  const Global<const float> g_y(y, 10, "g_y");
  CHECK_FALSE(run(vector_at, 1, 4, g_y).found);
  CHECK(contains(run(vector_at, 1, 8, g_y).message, "reads g_y[8..11] of 10 elements"));
  CHECK(run(vector_at, 1, 2, g_y).finding == Finding::misaligned);
}

// ---- the limits of a launch

__global__ void takes_dynamic(int n, DynamicShared shared) { shared.take<float>(n, "s_x").store(0, 1.0f); }
__global__ void declares_in_a_branch(bool) {
  if (threadIdx.x == 0)
    shared_array<float, 8>("s_a").store(0, 1.0f);
  else
    shared_array<float, 9>("s_b").store(0, 1.0f);
}

TEST_CASE("more shared memory than the launch gave, or other arrays in other threads, is reported") {
  CHECK_FALSE(run(takes_dynamic, 1, 64, DynamicShared{}).found);
  const Outcome o = run(takes_dynamic, 1, 65, DynamicShared{});
  CHECK(o.finding == Finding::shared_layout);
  CHECK(contains(o.message, "s_x[65] ends at byte 260 of dynamic shared memory, but 256 bytes were given"));
  CHECK(run(declares_in_a_branch, 2, true).finding == Finding::shared_layout);
}

TEST_CASE("sizes that no GPU takes are refused before anything runs") {
  simt::Device device(1);
  const auto refused = [&](Dim3 grid, Dim3 block, int64_t bytes) {
    try {
      launch(Kernel{"none", leaves_early}, grid, block, bytes, &device, true);
    } catch (const simt::SimtError& error) {
      return error.finding == Finding::launch_limits;
    }
    return false;
  };
  CHECK(refused({0}, {32}, 0));
  CHECK(refused({1}, {1025}, 0));
  CHECK(refused({1}, {0}, 0));
  CHECK(refused({1, 65536}, {32}, 0));
  CHECK(refused({1}, {32}, 232449));
  CHECK_FALSE(refused({1}, {32}, 232448));
}

__global__ void fails_in_block(int block, Global<int> g_x) {
  if (static_cast<int>(blockIdx.x) >= block) g_x.store(5, 1);
}

TEST_CASE("of several failures, that of the first block is reported, whatever the number of OS threads") {
  int x = 0;
  for (const int n_threads : {1, 2, 4}) {
    simt::Device device(n_threads);
    try {
      launch(Kernel{"k", fails_in_block}, {200}, {32}, 0, &device, 17, Global<int>(&x, 1, "g_x"));
      FAIL("nothing found");
    } catch (const simt::SimtError& error) {
      CHECK(contains(error.what(), "block (17, 0, 0)"));
    }
  }
}

__global__ void slow(Global<int> g_x) {
  for (int i = 0; i < 20'000'000; ++i) g_x.store(0, i);
}

TEST_CASE("a launch that would take too long is stopped, with the estimate") {
  std::vector<int> x(1);
  simt::Device device(1);
  device.limit_seconds(1);
  CHECK_THROWS_AS(launch(Kernel{"slow", slow}, {100'000}, {32}, 0, &device, Global<int>(x.data(), 1, "g_x")),
                  CapacityError);
}

}  // namespace
}  // namespace lastrow::emulated
