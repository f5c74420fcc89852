// Traffic as the hardware counts it, on access patterns that can be worked out by hand.
#include <doctest/doctest.h>

#include <vector>

#include "gpu/target/target.h"

namespace lastrow::emulated {
namespace {

template <typename... Parameters, typename... Arguments>
simt::KernelTraffic traffic_of(void (*function)(Parameters...), Dim3 grid, Dim3 block,
                               const Arguments&... arguments) {
  simt::Device device(2);
  device.watch({.report = true});
  launch(Kernel{"k", function}, grid, block, 0, &device, arguments...);
  return device.traffic().at(0);
}

__global__ void strided(Global<const float> g_x, int stride) { g_x.load(threadIdx.x * stride); }

TEST_CASE("32 floats in a row are 4 sectors; with a stride of 8 or more each float is one sector") {
  std::vector<float> x(32 * 32 + 8);
  // from an address that is a multiple of 32 bytes
  float* aligned = x.data() + (32 - reinterpret_cast<uintptr_t>(x.data()) % 32) % 32 / sizeof(float);
  const Global<const float> g_x(aligned, 32 * 32, "g_x");
  for (const auto& [stride, sectors] : {std::pair{1, 4}, {2, 8}, {4, 16}, {8, 32}, {32, 32}, {0, 1}}) {
    const simt::KernelTraffic k = traffic_of(strided, {1}, {32}, g_x, stride);
    REQUIRE(k.sites.size() == 1);
    CHECK(k.sites[0].n_sectors == sectors);
    CHECK(k.sites[0].n_best_sectors == (stride == 0 ? 1 : 4));
    CHECK(k.sites[0].bytes == 128);
    CHECK(k.sites[0].n_executions == 1);
  }
}

__global__ void vectors(Global<const float> g_x) { g_x.load_vec<4>(4 * threadIdx.x); }

TEST_CASE("a vector load of 16 bytes per lane moves 512 bytes in one instruction") {
  std::vector<float> x(128 + 8);
  float* aligned = x.data() + (32 - reinterpret_cast<uintptr_t>(x.data()) % 32) % 32 / sizeof(float);
  const simt::KernelTraffic k = traffic_of(vectors, {1}, {32}, Global<const float>(aligned, 128, "g_x"));
  CHECK(k.sites[0].bytes == 512);
  CHECK(k.sites[0].n_sectors == 16);
  CHECK(k.sites[0].n_executions == 1);
}

__global__ void strided_columns(int stride) {
  LASTROW_SHARED(float, s_x, 32 * 33);
  s_x.load(threadIdx.x * stride);
}
__global__ void shared_vectors(int stride) {
  LASTROW_SHARED(float, s_x, 32 * 36);
  s_x.load_vec<4>(threadIdx.x * stride);
}

TEST_CASE("shared memory: a column of a 32-wide tile takes 32 passes, of a 33-wide tile one pass") {
  for (const auto& [stride, passes] : {std::pair{1, 1}, {32, 32}, {33, 1}, {2, 2}, {0, 1}}) {
    const simt::KernelTraffic k = traffic_of(strided_columns, {1}, {32}, stride);
    CHECK(k.sites[0].n_passes == passes);
    CHECK(k.sites[0].n_best_passes == 1);
  }
  // 16 bytes per lane: 8 lanes at a time, so 4 passes at best.
  CHECK(traffic_of(shared_vectors, {1}, {32}, 4).sites[0].n_passes == 4);
  CHECK(traffic_of(shared_vectors, {1}, {32}, 32).sites[0].n_passes == 32);
  CHECK(traffic_of(shared_vectors, {1}, {32}, 36).sites[0].n_passes == 4);
  CHECK(traffic_of(shared_vectors, {1}, {32}, 4).sites[0].n_best_passes == 4);
}

__global__ void ragged(Global<const float> g_x, int n) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += 32) g_x.load(i);
}

TEST_CASE("the k-th accesses of the lanes are one execution; without all lanes it is partial") {
  std::vector<float> x(100);
  const simt::KernelTraffic k = traffic_of(ragged, {1}, {32}, Global<const float>(x.data(), 100, "g_x"), 70);
  CHECK(k.sites[0].n_executions == 3);
  CHECK(k.sites[0].n_partial == 1);
  CHECK(k.sites[0].bytes == 280);
}

__global__ void meets(Global<int> g_x) {
  LASTROW_SHARED(int, s_x, 16);
  s_x.store(threadIdx.x % 16, 1);
  __syncthreads();  // these two order nothing: only their number is tested
  __syncthreads();
  int x = __shfl_xor_sync(0xFFFFFFFFu, 1, 1);
  x += __shfl_xor_sync(0xFFFFFFFFu, 1, 2) + __shfl_xor_sync(0xFFFFFFFFu, 1, 4);
  __syncwarp();  // likewise
  if (__any_sync(0xFFFFFFFFu, x > 0)) g_x.atomic_add(0, 1);
}

TEST_CASE("barriers count once per block, meetings once per warp; a sample counts only its own blocks") {
  int x = 0;
  const simt::KernelTraffic k = traffic_of(meets, {64}, {64}, Global<int>(&x, 1, "g_x"));
  CHECK(x == 64 * 64);
  CHECK(k.n_blocks == 64);
  CHECK(k.n_blocks_observed == 32);
  CHECK(k.n_barriers == 2 * 32);
  CHECK(k.n_shuffles == 3 * 2 * 32);
  CHECK(k.n_votes == 2 * 32);
  CHECK(k.n_warp_syncs == 2 * 32);
  CHECK(k.shared_bytes == 64);
}

TEST_CASE("of a large grid at most 32 blocks are counted, and more than 16") {
  int x = 0;
  for (const uint32_t n : {1u, 31u, 32u, 33u, 63u, 64u, 65u, 1000u}) {
    const simt::KernelTraffic k = traffic_of(meets, {n}, {64}, Global<int>(&x, 1, "g_x"));
    CHECK(k.n_blocks == n);
    CHECK(k.n_blocks_observed <= 32);
    CHECK(k.n_blocks_observed >= std::min(n, 17u));
  }
}

}  // namespace
}  // namespace lastrow::emulated
