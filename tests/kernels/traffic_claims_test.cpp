// The traffic that each rung's header claims, counted by the emulator on shapes whose traffic can be worked
// out by hand.
#include <doctest/doctest.h>

#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

simt::KernelTraffic report(const char* rung, const AttendCase& c) {
  const emulated::Rung& r = emulated::rung(rung);
  REQUIRE(r.supports(task_of(c, lay_out(c))) == "");
  return run_rung(r, c, {.report = true, .n_sample_blocks = 1000}).traffic.at(0);
}

/// All sites of one array together.
simt::SiteTraffic total(const simt::KernelTraffic& k, std::string_view array) {
  simt::SiteTraffic sum{};
  for (const simt::SiteTraffic& site : k.sites) {
    if (site.array != array) continue;
    sum.lane_bytes = std::max(sum.lane_bytes, site.lane_bytes);
    sum.n_executions += site.n_executions;
    sum.bytes += site.bytes;
    sum.n_sectors += site.n_sectors;
    sum.n_best_sectors += site.n_best_sectors;
  }
  return sum;
}

/// Bytes of n_rows stored rows of K (or of V).
int64_t row_bytes(const AttendCase& c, int64_t n_rows) {
  return n_rows * c.head_dim * static_cast<int64_t>(size_of(c.kv_dtype.k));
}

TEST_CASE("k02: eight elements per sector, where k01 has one") {
  const AttendCase c{.n_q_heads = 8, .n_kv_heads = 8, .head_dim = 64, .sequences = {{1, 40}}};
  for (const char* array : {"g_k", "g_v"}) {
    const auto naive = total(report("k01", c), array), warp = total(report("k02", c), array);
    CHECK(warp.bytes == naive.bytes);
    CHECK(warp.n_sectors == warp.n_best_sectors);
    CHECK(naive.n_sectors == 8 * warp.n_sectors);
  }
}

TEST_CASE("k03: no scores in memory, and the same reads of K and V") {
  const AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 40}, {3, 9}}};
  const auto three = report("k02", c), one = report("k03", c);
  CHECK(total(three, "g_scratch").bytes > 0);
  CHECK(total(one, "g_scratch").n_executions == 0);
  CHECK(emulated::rung("k03").scratch_elems(task_of(c, lay_out(c))) == 0);
  CHECK(total(one, "g_k").bytes == total(three, "g_k").bytes);
  CHECK(total(one, "g_v").bytes == total(three, "g_v").bytes);
  CHECK(2 * total(one, "g_block_tables").n_executions < total(three, "g_block_tables").n_executions);
}

TEST_CASE("k04: a K/V row is read once per 16 queries, and tiles that no query sees are skipped") {
  AttendCase c{.head_dim = 64, .sequences = {{32, 32}}};
  // Queries 0 … 15 see 16 rows together, 16 … 31 see 32; k03 reads 1 + 2 + … + 32.
  CHECK(total(report("k04", c), "g_k").bytes == row_bytes(c, 16 + 32));
  CHECK(total(report("k03", c), "g_k").bytes == row_bytes(c, 32 * 33 / 2));
  // Query 184 of 200 sees 180 … 184, query 199 sees 195 … 199: 20 rows of 200, in two of seven tiles.
  c = {.head_dim = 64, .sequences = {{16, 200}}, .mask = {true, 5}};
  const auto window = report("k04", c);
  CHECK(total(window, "g_v").bytes == row_bytes(c, 20));
  CHECK(window.n_barriers == 2 * 2);
}

TEST_CASE("k04: one softmax update per tile, no bank conflicts") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int32_t head_dim : {8, 64, 80, 128}) {
      CAPTURE(head_dim);
      const AttendCase c{.head_dim = head_dim, .sequences = {{16, 64}}, .kv_dtype = dtype};
      const auto k = report("k04", c);
      CHECK(k.n_shuffles == 16 * 2 * 10);  // queries × tiles × (maximum, sum); k03: five for each key
      int32_t n_shared = 0;
      for (const simt::SiteTraffic& site : k.sites) {
        if (site.space != simt::Space::shared) continue;
        ++n_shared;
        // If lanes take different numbers of rounds of a loop (head_dim 80 in steps of 32 floats), the
        // counter cannot tell which accesses were one instruction. The padding is for the 16-byte accesses.
        if (head_dim % 32 != 0 && head_dim > 32 && site.lane_bytes != 16) continue;
        CHECK_MESSAGE(site.n_passes == site.n_best_passes, site.array, " at line ", site.line);
      }
      CHECK(n_shared == 8);  // q, K, V and the weights, each written and read
    }
}

TEST_CASE("k05: 16 bytes per lane, whole sectors, several keys per instruction") {
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const int32_t head_dim : {64, 128})
      for (const int32_t block_len : {0, 16}) {
        CAPTURE(head_dim);
        const AttendCase c{.n_q_heads = 2,
                           .n_kv_heads = 2,
                           .head_dim = head_dim,
                           .sequences = {{1, 64}},
                           .block_len = block_len,
                           .block_order = 5,
                           .kv_dtype = dtype};
        const auto vectors = report("k05", c), elements = report("k03", c);
        for (const char* array : {"g_k", "g_v"}) {
          const auto v = total(vectors, array), e = total(elements, array);
          CHECK(v.lane_bytes == 16);
          CHECK(v.bytes == e.bytes);
          CHECK(v.bytes == row_bytes(c, 2 * 64));
          CHECK(v.n_sectors == v.n_best_sectors);
          CHECK(v.n_executions * 16 == e.n_executions * static_cast<int64_t>(size_of(dtype)));
        }
        CHECK(total(vectors, "g_out").lane_bytes == 16);
      }
}

TEST_CASE("k06: a K/V byte is read once for up to 8 heads of its group") {
  for (const auto& [n_q, n_kv, n_chunks] :
       {std::tuple{2, 2, 1}, {3, 1, 1}, {8, 2, 1}, {8, 1, 1}, {9, 1, 2}, {71, 1, 9}})
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(n_q);
      const AttendCase c{
          .n_q_heads = n_q, .n_kv_heads = n_kv, .head_dim = 64, .sequences = {{1, 33}}, .kv_dtype = dtype};
      const auto grouped = report("k06", c), alone = report("k05", c);
      for (const char* array : {"g_k", "g_v"}) {
        CHECK(total(grouped, array).bytes == row_bytes(c, n_kv * 33) * n_chunks);
        CHECK(total(alone, array).bytes == row_bytes(c, n_q * 33));
        CHECK(total(grouped, array).n_sectors == total(grouped, array).n_best_sectors);
      }
      expect_rung(emulated::rung("k06"), c);
    }
}

// ---- shared memory

int64_t shared_bytes(const char* rung, const AttendCase& c) { return report(rung, c).shared_bytes; }

TEST_CASE("k01, k02, k03, k05 and k06 take no shared memory") {
  for (const char* rung : {"k01", "k02", "k03", "k05", "k06"}) {
    CAPTURE(rung);
    CHECK(shared_bytes(rung, {.n_q_heads = 8, .head_dim = 256, .sequences = {{1, 40}}}) == 0);
  }
}

TEST_CASE("k04: 83 KiB at head_dim 256: q, K and V in rows of 260 floats, and one weight per score") {
  const int64_t bytes = shared_bytes("k04", {.head_dim = 256, .sequences = {{16, 40}}});
  CHECK(bytes == 4 * ((16 + 32 + 32) * 260 + 4 * 32 * 4));
  CHECK(bytes / 1024 == 83);
}

TEST_CASE("k07 … k10: one state per warp and head; k10 also has four stages of 64 KiB together") {
  for (const auto& [group, head_dim, n_heads, width] : {std::tuple{1, 64, 1, 64},
                                                        {3, 64, 4, 64},
                                                        {8, 64, 8, 64},
                                                        {4, 128, 4, 128},
                                                        {9, 128, 8, 128},
                                                        {8, 256, 4, 256}})
    for (const auto& [rung, dtype] :
         {std::pair{"k07", DType::f32}, {"k08", DType::f32}, {"k09", DType::bf16}, {"k10", DType::bf16}}) {
      CAPTURE(rung);
      CAPTURE(group);
      CAPTURE(head_dim);
      const int64_t states = 4 * n_heads * (width + 2) * 4,
                    stages = rung == std::string_view("k10") ? 64 << 10 : 0;
      CHECK(
          shared_bytes(
              rung, {.n_q_heads = group, .head_dim = head_dim, .sequences = {{1, 40}}, .kv_dtype = dtype}) ==
          states + stages);
    }
}

TEST_CASE(
    "k11: 108 KiB at head_dim 128 in bf16, 104 in f16, 58 in int8, 56 in fp8, and at most 5 for the merge; "
    "k12: 112 and 96 KiB, and 32 bytes") {
  const auto bytes = [](const char* rung, DType dtype) {
    return shared_bytes(rung, {.n_q_heads = 16, .head_dim = 128, .sequences = {{4, 40}}, .kv_dtype = dtype});
  };
  for (const auto& [dtype, kib] :
       {std::pair{DType::bf16, 108}, {DType::f16, 104}, {DType::i8, 57}, {DType::fp8_e4m3, 56}}) {
    CHECK(bytes("k11", dtype) > (kib << 10));
    CHECK(bytes("k11", dtype) <= ((kib + 5) << 10));
  }
  CHECK(bytes("k12", DType::bf16) == (112 << 10) + 32);
  CHECK(bytes("k12", DType::f16) == (96 << 10) + 32);
  for (const DType dtype : {DType::f16, DType::bf16}) {  // q is not split into parts, but has 128 rows
    const AttendCase c{.head_dim = 128, .sequences = {{4, 40}}, .kv_dtype = dtype};
    const Ran ran =
        run_rung(emulated::k12, c, {.report = true}, [](gpu::AttendTask& t) { t.tuning.n_parts = 1; });
    CHECK(ran.traffic.at(0).shared_bytes == (96 << 10) + 32);
  }
}

}  // namespace
}  // namespace lastrow::testing
