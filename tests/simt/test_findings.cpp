// The emulator is judged too: one small broken kernel for each thing it has to find, and the mended one
// beside it.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "gpu/kernels/async_copy.h"

namespace lastrow::emulated {
namespace {

using simt::Finding;
constexpr uint32_t kAll = 0xFFFFFFFFu;

/// Runs a kernel of one int array under all checks; the error it ends with, or none.
struct Outcome {
  bool found = false;
  Finding finding{};
  std::string message;
};

template <typename... Parameters, typename... Arguments>
Outcome run(void (*function)(Parameters...), int n_threads, const Arguments&... arguments) {
  simt::Device device(1);
  device.watch({.check = true});
  try {
    launch(Kernel{"broken", function}, {1}, {static_cast<uint32_t>(n_threads)}, 256, &device, arguments...);
  } catch (const simt::SimtError& error) {
    return {true, error.finding, error.what()};
  }
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- a barrier that not all threads of the block come to

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

TEST_CASE("a barrier in a branch is named, with who is missing") {
  const Outcome o = run(half_a_barrier, 64, false);
  REQUIRE(o.found);
  CHECK(o.finding == Finding::barrier_not_reached);
  CHECK(contains(o.message, "broken, block (0, 0, 0), thread (0, 0, 0), test_findings.cpp:"));
  CHECK(contains(o.message, "32 of 64 threads wait in __syncthreads; thread (32, 0, 0) has returned"));
  CHECK_FALSE(run(half_a_barrier, 64, true).found);
  CHECK(run(leaves_early, 64, false).finding == Finding::barrier_not_reached);
  CHECK(contains(run(leaves_early, 64, false).message, "thread (5, 0, 0) has returned"));
  CHECK_FALSE(run(leaves_early, 64, true).found);
}

TEST_CASE("two barriers in two branches are not one") {
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
  __syncwarp();
}
__global__ void outside_its_mask(bool mended) { __shfl_sync(mended ? kAll : 0x0000FFFFu, 1, 0); }
__global__ void from_outside_the_mask(bool mended) {
  if (threadIdx.x < 16) __shfl_sync(0x0000FFFFu, 1, mended ? 3 : 20);
}
__global__ void from_one_that_left(bool mended) {
  if (threadIdx.x == 7) return;
  __shfl_sync(kAll, 1, mended ? 6 : 7);
}

TEST_CASE("a shuffle that lanes do not come to, or that takes from one who does not take part, is named") {
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

TEST_CASE("an access outside an array, global or shared, names array, index and size") {
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

// ---- shared memory that nobody wrote, and races

__global__ void reads_unwritten(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  if (mended || threadIdx.x != 40) s_x.store(threadIdx.x, 1.0f);
  __syncthreads();
  s_x.load(63 - threadIdx.x);
}
__global__ void forgets_the_barrier(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  s_x.store(threadIdx.x, 1.0f);
  if (mended) __syncthreads();
  s_x.load(threadIdx.x);
  if (threadIdx.x >= 32) s_x.load(threadIdx.x - 32);
}
/// The second round overwrites what a slower warp may still be reading.
__global__ void forgets_the_second_barrier(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  for (int round = 0; round < 2; ++round) {
    s_x.store(threadIdx.x, 1.0f);
    __syncthreads();
    s_x.load(63 - threadIdx.x);
    if (mended) __syncthreads();
  }
}
__global__ void within_a_warp(int how) {
  LASTROW_SHARED(float, s_x, 32);
  s_x.store(threadIdx.x, 1.0f);
  if (how == 0) __shfl_sync(kAll, 1, 0);  // orders nothing
  if (how == 1) __syncwarp();
  if (how == 2) __syncwarp(threadIdx.x < 16 ? 0x0000FFFFu : 0xFFFF0000u);  // orders within each half
  s_x.load(how == 3 ? threadIdx.x : threadIdx.x ^ (how == 2 ? 1 : 31));
}
__global__ void across_halves(bool) {
  LASTROW_SHARED(float, s_x, 32);
  s_x.store(threadIdx.x, 0.0f);
  __syncthreads();
  s_x.store(threadIdx.x, 1.0f);
  __syncwarp(threadIdx.x < 16 ? 0x0000FFFFu : 0xFFFF0000u);
  s_x.load(threadIdx.x ^ 16);
}
__global__ void all_add(bool atomically) {
  LASTROW_SHARED(int, s_n, 1);
  if (threadIdx.x == 0) s_n.store(0, 0);
  __syncthreads();
  if (atomically)
    s_n.atomic_add(0, 1);
  else
    s_n.store(0, s_n.load(0) + 1);
}

TEST_CASE("a read of shared memory that nobody wrote is named, with the element") {
  const Outcome o = run(reads_unwritten, 64, false);
  CHECK(o.finding == Finding::uninitialised_shared);
  CHECK(contains(o.message, "reads s_x[40], which no thread has written"));
  CHECK_FALSE(run(reads_unwritten, 64, true).found);
}

TEST_CASE("a missing __syncthreads is a race, before the read and after it") {
  const Outcome o = run(forgets_the_barrier, 64, false);
  CHECK(o.finding == Finding::shared_race);
  CHECK(contains(o.message, "thread (32, 0, 0)"));
  CHECK(contains(o.message, "reads s_x[0], which thread (0, 0, 0) writes at test_findings.cpp:"));
  CHECK(contains(o.message, "with no __syncthreads between"));
  CHECK_FALSE(run(forgets_the_barrier, 64, true).found);
  CHECK(run(forgets_the_second_barrier, 64, false).finding == Finding::shared_race);
  CHECK_FALSE(run(forgets_the_second_barrier, 64, true).found);
}

TEST_CASE("within a warp __syncwarp orders those it names, and a shuffle orders nothing") {
  CHECK(run(within_a_warp, 32, 0).finding == Finding::shared_race);
  CHECK_FALSE(run(within_a_warp, 32, 1).found);
  CHECK_FALSE(run(within_a_warp, 32, 2).found);
  CHECK_FALSE(run(within_a_warp, 32, 3).found);
  CHECK(run(across_halves, 32, false).finding == Finding::shared_race);
}

/// Each thread copies four floats, and those of the first warp read what their mirror images copied; twice.
enum class Copies { right, no_wait, no_barrier_before, no_barrier_after, own_too_early };
__global__ void copies_and_reads(Copies how, Global<const float> g_x) {
  LASTROW_SHARED(float, s_x, 4 * 64);
  AsyncCopies copies;
  const int64_t own = 4 * int64_t{threadIdx.x}, other = 4 * int64_t{63 - threadIdx.x};
  s_x.store_vec<4>(own, {});
  __syncthreads();
  for (int round = 0; round < 2; ++round) {
    copies.copy<4>(s_x, own, g_x, own, true);
    copies.close_group();
    if (how == Copies::own_too_early) s_x.load(own);
    if (how != Copies::no_wait) copies.wait<0>();
    if (how != Copies::no_barrier_before) __syncthreads();
    if (threadIdx.x < 32) s_x.load(other);
    if (how != Copies::no_barrier_after) __syncthreads();
  }
}

TEST_CASE("an asynchronous copy races from its beginning to its landing") {
  const std::vector<float> x(256, 1.0f);
  const auto outcome = [&](Copies how) {
    return run(copies_and_reads, 64, how, Global<const float>(x.data(), 256, "g_x"));
  };
  CHECK_FALSE(outcome(Copies::right).found);
  const Outcome early = outcome(Copies::own_too_early);
  CAPTURE(early.message);
  CHECK(early.finding == Finding::shared_race);
  CHECK(contains(early.message, "reads s_x["));
  CHECK(contains(early.message, " began a copy at test_findings.cpp:"));
  CHECK(contains(early.message, "that has not been waited for"));
  CHECK(outcome(Copies::no_wait).finding == Finding::shared_race);
  CHECK(outcome(Copies::no_barrier_before).finding == Finding::shared_race);
  const Outcome begun = outcome(Copies::no_barrier_after);  // the next copy begins while some still read
  CAPTURE(begun.message);
  CHECK(begun.finding == Finding::shared_race);
  CHECK(contains(begun.message, "copies to s_x["));
  CHECK(contains(begun.message, "reads at test_findings.cpp:"));
  CHECK(contains(begun.message, "with no __syncthreads between"));
}

TEST_CASE("adding without atomics is a race, with them it is none") {
  CHECK(run(all_add, 64, false).finding == Finding::shared_race);
  CHECK_FALSE(run(all_add, 64, true).found);
}

// ---- what a launch may ask for

__global__ void takes_dynamic(int n, DynamicShared shared) { shared.take<float>(n, "s_x").store(0, 1.0f); }
__global__ void declares_in_a_branch(bool) {
  if (threadIdx.x == 0)
    shared_array<float, 8>("s_a").store(0, 1.0f);
  else
    shared_array<float, 9>("s_b").store(0, 1.0f);
}

TEST_CASE("more shared memory than was given, or other arrays in other threads, is named") {
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

TEST_CASE("of several failures the first block's is reported, whatever the number of OS threads") {
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

TEST_CASE("a launch that would take too long is given up with the estimate") {
  std::vector<int> x(1);
  simt::Device device(1);
  device.limit_seconds(1);
  CHECK_THROWS_AS(launch(Kernel{"slow", slow}, {100'000}, {32}, 0, &device, Global<int>(x.data(), 1, "g_x")),
                  CapacityError);
}

}  // namespace
}  // namespace lastrow::emulated
