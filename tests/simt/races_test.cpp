// What the emulator finds when its checks are on: reads of shared memory that no thread wrote, and races in
// shared and global memory, also with copies that are on their way. Each broken kernel is next to a correct version.
#include <doctest/doctest.h>

#include <vector>

#include "tests/simt/outcome.h"

#include "gpu/target/async_copy.h"

namespace lastrow::emulated {
namespace {

__global__ void reads_unwritten(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  if (mended || threadIdx.x != 40) s_x.store(threadIdx.x, 1.0f);
  __syncthreads();  // all writes before the mirrored reads
  s_x.load(63 - threadIdx.x);
}
/// Only block 0 writes.
__global__ void leaves_it_to_the_first_block(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  if (mended || blockIdx.x == 0) s_x.store(threadIdx.x, 1.0f);
  s_x.load(threadIdx.x);
}
/// At the end of block 0, thread 0 is the writer and reader of all elements.
/// In block 1 each element has another one.
__global__ void other_threads_in_other_blocks(bool) {
  LASTROW_SHARED(float, s_x, 64);
  for (uint32_t i = 0; i < 64; ++i)
    if (blockIdx.x == 0 ? threadIdx.x == 0 : threadIdx.x == i) {
      s_x.store(i, 1.0f);
      s_x.load(i);
    }
}
__global__ void forgets_the_barrier(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  s_x.store(threadIdx.x, 1.0f);
  if (mended) __syncthreads();  // the first warp's writes before the second warp's reads
  s_x.load(threadIdx.x);
  if (threadIdx.x >= 32) s_x.load(threadIdx.x - 32);
}
/// The second round overwrites what a slower warp may still be reading.
__global__ void forgets_the_second_barrier(bool mended) {
  LASTROW_SHARED(float, s_x, 64);
  for (int round = 0; round < 2; ++round) {
    s_x.store(threadIdx.x, 1.0f);
    __syncthreads();  // all writes of the round before its reads
    s_x.load(63 - threadIdx.x);
    if (mended) __syncthreads();  // all reads of the round before the next one's writes
  }
}
__global__ void within_a_warp(int how) {
  LASTROW_SHARED(float, s_x, 32);
  s_x.store(threadIdx.x, 1.0f);
  if (how == 0) __shfl_sync(kAll, 1, 0);                                   // orders nothing
  if (how == 1) __syncwarp();                                              // all writes before all reads
  if (how == 2) __syncwarp(threadIdx.x < 16 ? 0x0000FFFFu : 0xFFFF0000u);  // orders within each half
  s_x.load(how == 3 ? threadIdx.x : threadIdx.x ^ (how == 2 ? 1 : 31));
}
__global__ void across_halves(bool) {
  LASTROW_SHARED(float, s_x, 32);
  s_x.store(threadIdx.x, 0.0f);
  __syncthreads();  // the zeros are written before everything below
  s_x.store(threadIdx.x, 1.0f);
  __syncwarp(threadIdx.x < 16 ? 0x0000FFFFu : 0xFFFF0000u);  // orders each half only
  s_x.load(threadIdx.x ^ 16);
}
__global__ void all_add(bool atomically) {
  LASTROW_SHARED(int, s_n, 1);
  if (threadIdx.x == 0) s_n.store(0, 0);
  __syncthreads();  // the zero is written before any thread adds
  if (atomically)
    s_n.atomic_add(0, 1);
  else
    s_n.store(0, s_n.load(0) + 1);
}

TEST_CASE("a read of shared memory that no thread wrote is reported, with the element") {
  const Outcome o = run(reads_unwritten, 64, false);
  CHECK(o.finding == Finding::uninitialised_shared);
  CHECK(contains(o.message, "reads s_x[40], which no thread has written"));
  CHECK_FALSE(run(reads_unwritten, 64, true).found);
}

TEST_CASE("what one block wrote to shared memory does not count for the next block") {
  const auto two_blocks = [](void (*kernel)(bool), bool mended) {
    simt::Device device(1);  // one OS thread, so one detector follows both blocks
    device.watch({.check = true});
    launch(Kernel{"blocks", kernel}, {2}, {64}, 0, &device, mended);
  };
  CHECK_THROWS_WITH_AS(two_blocks(leaves_it_to_the_first_block, false),
                       doctest::Contains("reads s_x[0], which no thread has written"), simt::SimtError);
  CHECK_NOTHROW(two_blocks(leaves_it_to_the_first_block, true));
  CHECK_NOTHROW(two_blocks(other_threads_in_other_blocks, true));
}

TEST_CASE("a missing __syncthreads is a race, both before the read and after it") {
  const Outcome o = run(forgets_the_barrier, 64, false);
  CHECK(o.finding == Finding::shared_race);
  CHECK(contains(o.message, "thread (32, 0, 0)"));
  CHECK(contains(o.message, "reads s_x[0], which thread (0, 0, 0) writes at races_test.cpp:"));
  CHECK(contains(o.message, "with no __syncthreads between"));
  CHECK_FALSE(run(forgets_the_barrier, 64, true).found);
  CHECK(run(forgets_the_second_barrier, 64, false).finding == Finding::shared_race);
  CHECK_FALSE(run(forgets_the_second_barrier, 64, true).found);
}

TEST_CASE("within a warp __syncwarp orders the lanes of its mask, and a shuffle orders nothing") {
  CHECK(run(within_a_warp, 32, 0).finding == Finding::shared_race);
  CHECK_FALSE(run(within_a_warp, 32, 1).found);
  CHECK_FALSE(run(within_a_warp, 32, 2).found);
  CHECK_FALSE(run(within_a_warp, 32, 3).found);
  CHECK(run(across_halves, 32, false).finding == Finding::shared_race);
}

/// Twice: each thread copies four floats, and the threads of the first
/// warp read what their mirror images copied.
enum class Copies { right, no_wait, no_barrier_before, no_barrier_after, own_too_early };
__global__ void copies_and_reads(Copies how, Global<const float> g_x) {
  LASTROW_SHARED(float, s_x, 4 * 64);
  AsyncCopies copies;
  const int64_t own = 4 * int64_t{threadIdx.x}, other = 4 * int64_t{63 - threadIdx.x};
  s_x.store_vec<4>(own, {});
  __syncthreads();  // the zeros are written before any copy begins
  for (int round = 0; round < 2; ++round) {
    copies.copy<4>(s_x, own, g_x, own, true);
    copies.close_group();
    if (how == Copies::own_too_early) s_x.load(own);
    if (how != Copies::no_wait) copies.wait<0>();
    if (how != Copies::no_barrier_before) __syncthreads();  // all copies have arrived before others read them
    if (threadIdx.x < 32) s_x.load(other);
    if (how != Copies::no_barrier_after) __syncthreads();  // all reads before the next round's copies
  }
}

TEST_CASE("an asynchronous copy can race from its beginning to its arrival") {
  const std::vector<float> x(256, 1.0f);
  const auto outcome = [&](Copies how) {
    return run(copies_and_reads, 64, how, Global<const float>(x.data(), 256, "g_x"));
  };
  CHECK_FALSE(outcome(Copies::right).found);
  const Outcome early = outcome(Copies::own_too_early);
  CAPTURE(early.message);
  CHECK(early.finding == Finding::shared_race);
  CHECK(contains(early.message, "reads s_x["));
  CHECK(contains(early.message, " began a copy at races_test.cpp:"));
  CHECK(contains(early.message, "that has not been waited for"));
  CHECK(outcome(Copies::no_wait).finding == Finding::shared_race);
  CHECK(outcome(Copies::no_barrier_before).finding == Finding::shared_race);
  const Outcome begun = outcome(Copies::no_barrier_after);  // the next copy begins while some still read
  CAPTURE(begun.message);
  CHECK(begun.finding == Finding::shared_race);
  CHECK(contains(begun.message, "copies to s_x["));
  CHECK(contains(begun.message, "reads at races_test.cpp:"));
  CHECK(contains(begun.message, "with no __syncthreads between"));
}

TEST_CASE("adding without atomics is a race, adding with them is not") {
  CHECK(run(all_add, 64, false).finding == Finding::shared_race);
  CHECK_FALSE(run(all_add, 64, true).found);
}

/// Lane 0 leaves a number in global memory for the other lanes, and then overwrites it: the pattern of k02.
enum class Hand { right, no_sync_before, no_sync_after, shuffles };
__global__ void hands_on(Hand how, Global<float> g_x) {
  if (threadIdx.x == 0) g_x.store(7, 1.0f);
  if (how == Hand::shuffles) __shfl_sync(kAll, 1, 0);                  // orders nothing
  if (how == Hand::right || how == Hand::no_sync_after) __syncwarp();  // the write before all reads
  Global<const float>(g_x).load(7);
  if (how == Hand::right || how == Hand::no_sync_before) __syncwarp();  // all reads before the next write
  if (threadIdx.x == 0) g_x.store(7, 2.0f);
}
/// Each thread writes its own element, then reads another thread's; or all add to one element.
__global__ void mirrors(bool mended, Global<float> g_x) {
  g_x.store(threadIdx.x, 1.0f);
  if (mended) __syncthreads();  // all writes before the mirrored reads
  g_x.load(63 - threadIdx.x);
}
__global__ void adds_to_global(bool atomically, Global<int> g_n) {
  if (atomically)
    g_n.atomic_add(0, 1);
  else
    g_n.store(0, g_n.load(0) + 1);
}
/// Four floats at once, one of which another lane writes alone.
__global__ void overlaps(Global<float> g_x) {
  if (threadIdx.x == 0) g_x.store_vec<4>(0, {});
  if (threadIdx.x == 1) g_x.store(3, 1.0f);
}

TEST_CASE("a race in global memory is reported, if a warp lacks a __syncwarp or a block a __syncthreads") {
  std::vector<float> x(64);
  const Global<float> g_x(x.data(), 64, "g_x");
  const Outcome o = run(hands_on, 32, Hand::no_sync_before, g_x);
  CHECK(o.finding == Finding::global_race);
  CHECK(contains(o.message, "thread (1, 0, 0)"));
  CHECK(contains(o.message,
                 "race on global memory: reads g_x[7], which thread (0, 0, 0) writes at races_test.cpp:"));
  CHECK(contains(o.message, "with no __syncwarp or __syncthreads between"));
  CHECK_FALSE(run(hands_on, 32, Hand::right, g_x).found);
  CHECK(run(hands_on, 32, Hand::shuffles, g_x).finding == Finding::global_race);
  const Outcome late = run(hands_on, 32, Hand::no_sync_after, g_x);  // lane 0 writes once more before …
  CAPTURE(late.message);
  CHECK(late.finding == Finding::global_race);  // … lane 1 reads, which should see the first number
  CHECK(run(mirrors, 64, false, g_x).finding == Finding::global_race);
  CHECK_FALSE(run(mirrors, 64, true, g_x).found);
  CHECK(run(overlaps, 32, g_x).finding == Finding::global_race);
}

TEST_CASE("in global memory too, adding without atomics is a race, adding with them is not") {
  int n = 0;
  CHECK(run(adds_to_global, 64, false, Global<int>(&n, 1, "g_n")).finding == Finding::global_race);
  CHECK_FALSE(run(adds_to_global, 64, true, Global<int>(&n, 1, "g_n")).found);
}

/// Two blocks that write the same elements.
__global__ void a_block_each(Global<float> g_x) { g_x.store(threadIdx.x, g_x.load(threadIdx.x) + 1); }

TEST_CASE("blocks are not compared with each other, whatever the size of what they write") {
  std::vector<float> x(1024);
  simt::Device device(1);
  device.watch({.check = true});
  launch(Kernel{"blocks", a_block_each}, {100}, {1024}, 0, &device, Global<float>(x.data(), 1024, "g_x"));
  CHECK(x[1023] == 100);
}

/// A thread copies four floats to shared memory; then it, or its neighbour, writes them.
enum class Source { right, own_too_early, other_too_early, no_barrier };
__global__ void copies_and_overwrites(Source how, Global<float> g_x) {
  LASTROW_SHARED(float, s_x, 4 * 64);
  AsyncCopies copies;
  if (threadIdx.x == 63) g_x.store(255, 0.0f);
  const int64_t own = 4 * int64_t{threadIdx.x}, other = own ^ 4;
  __syncthreads();  // the zero is written before any copy begins
  copies.copy<4>(s_x, own, Global<const float>(g_x), own, true);
  copies.close_group();
  if (how == Source::own_too_early) g_x.store(own, 1.0f);
  if (how == Source::other_too_early) g_x.store(other, 1.0f);
  copies.wait<0>();
  if (how != Source::no_barrier) __syncthreads();  // all copies have read their sources before others write
  g_x.store(other, 1.0f);
}

TEST_CASE("the source of an asynchronous copy must not be written before the copy was waited for") {
  std::vector<float> x(256);
  const auto outcome = [&](Source how) {
    return run(copies_and_overwrites, 64, how, Global<float>(x.data(), 256, "g_x"));
  };
  CHECK_FALSE(outcome(Source::right).found);
  const Outcome own = outcome(Source::own_too_early);
  CAPTURE(own.message);
  CHECK(own.finding == Finding::global_race);
  CHECK(contains(own.message, "race on global memory: writes g_x["));
  CHECK(contains(own.message, "from which thread "));
  CHECK(contains(own.message, " began a copy at races_test.cpp:"));
  CHECK(contains(own.message, "that has not been waited for"));
  CHECK(outcome(Source::other_too_early).finding == Finding::global_race);
  CHECK(outcome(Source::no_barrier).finding == Finding::global_race);
}

}  // namespace
}  // namespace lastrow::emulated
