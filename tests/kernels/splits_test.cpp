// Keys split over blocks (k07 and the rungs built on it). The cost model chooses the number of splits, which
// changes only the order of sums; every partial is written; the grid of a graph fits while lengths grow;
// bytes are read once.
#include <doctest/doctest.h>

#include "gpu/parts/attend_operands.h"
#include "gpu/parts/split_plan.h"
#include "tests/kernels/run_rung.h"

namespace lastrow::testing {
namespace {

const emulated::Rung* const kSplitting[] = {&emulated::k07, &emulated::k08, &emulated::k09, &emulated::k10,
                                            &emulated::k11};
/// Also those that lead to them, whose blocks take other parts of the work.
const emulated::Rung* const kAllSplitting[] = {&emulated::k07a, &emulated::k07b, &emulated::k07,
                                               &emulated::k08,  &emulated::k09,  &emulated::k10,
                                               &emulated::k11b, &emulated::k11};

/// A stored type that the rung takes.
DType dtype_for(const emulated::Rung& rung) {
  return &rung == &emulated::k10 || &rung == &emulated::k11 || &rung == &emulated::k11b ? DType::bf16
         : &rung == &emulated::k09                                                      ? DType::i8
                                                                                        : DType::f32;
}

// ---- the cost model

constexpr gpu::SplitCosts kCosts = gpu::split_costs(gpu::SplitKind::loads);

TEST_CASE("few blocks are split until the multiprocessors are busy; many are not split") {
  const auto n_splits = [](const gpu::SplitProblem& problem) {
    return gpu::plan_splits(problem, kCosts).n_splits;
  };
  CHECK(n_splits({.n_blocks = 1000, .n_tiles = 100, .n_multiprocessors = 132}) == 1);
  CHECK(n_splits({.n_blocks = 1, .n_tiles = 1, .n_multiprocessors = 132}) == 1);
  CHECK(n_splits({.n_blocks = 8, .n_tiles = 1000, .n_multiprocessors = 1}) == 1);
  // 8 blocks, 264 places: 33 splits fill one wave.
  CHECK(n_splits({.n_blocks = 8, .n_tiles = 1000, .n_multiprocessors = 132}) ==
        doctest::Approx(33).epsilon(0.05));
  CHECK(n_splits({.n_blocks = 8, .n_tiles = 1000, .n_multiprocessors = 132, .blocks_at_once = 4}) ==
        doctest::Approx(66).epsilon(0.05));
}

TEST_CASE("the costs decide: an expensive merge, expensive partials or expensive starts make fewer splits") {
  const gpu::SplitProblem p{.n_blocks = 8, .n_tiles = 20, .n_multiprocessors = 132};
  const auto n_splits = [&](const gpu::SplitCosts& costs) { return gpu::plan_splits(p, costs).n_splits; };
  CHECK(n_splits({.start = 1, .merge = 1, .per_split = 0.01}) == 20);
  CHECK(n_splits({.start = 1, .merge = 30, .per_split = 0.01}) == 1);
  CHECK(n_splits({.start = 1, .merge = 1, .per_split = 2}) < 5);
  // Two waves, or one of longer splits.
  const gpu::SplitProblem two{.n_blocks = 8, .n_tiles = 66, .n_multiprocessors = 132};
  CHECK(gpu::plan_splits(two, {.start = 9, .merge = 1, .per_split = 0.01}).n_splits == 33);
}

TEST_CASE("a plan counts with as many blocks at once as registers and shared memory allow") {
  gpu::AttendShape s{.n_kv_heads = 8, .max_kv_len = 64000};
  gpu::DeviceLimits limits;
  const auto n_splits = [&](const emulated::Rung& rung, DType dtype, int32_t group, int32_t head_dim = 128) {
    s.n_q_heads = 8 * group, s.kv_dtype = dtype, s.head_dim = head_dim;
    return static_cast<double>(rung.scratch_elems({s, limits})) / (s.n_q_heads * (s.head_dim + 2));
  };
  const auto at_once = [](double n) { return doctest::Approx(132 * n / 8).epsilon(0.05); };
  for (const emulated::Rung* rung : {&emulated::k07, &emulated::k08}) {
    CHECK(n_splits(*rung, DType::f32, 1) == at_once(6));
    CHECK(n_splits(*rung, DType::f32, 4) == at_once(4));
    CHECK(n_splits(*rung, DType::f32, 8) == at_once(3));
    CHECK(n_splits(*rung, DType::bf16, 4) == at_once(3));
    CHECK(n_splits(*rung, DType::bf16, 4, 256) == at_once(2));
  }
  for (const DType dtype : {DType::f16, DType::bf16}) {
    CHECK(n_splits(emulated::k09, dtype, 1) == at_once(4));
    CHECK(n_splits(emulated::k09, dtype, 4) == at_once(3));
    CHECK(n_splits(emulated::k09, dtype, 8) == at_once(2));
  }
  for (const DType dtype : {DType::fp8_e4m3, DType::i8}) {
    CHECK(n_splits(emulated::k09, dtype, 1) == at_once(4));
    CHECK(n_splits(emulated::k09, dtype, 4) == at_once(2));
  }
  CHECK(n_splits(emulated::k10, DType::bf16, 1) == at_once(3));  // three times 64 KiB
  CHECK(n_splits(emulated::k10, DType::bf16, 8) == at_once(2));
  CHECK(n_splits(emulated::k11, DType::bf16, 8) == at_once(2));
  CHECK(n_splits(emulated::k11, DType::bf16, 8, 64) == at_once(3));
  limits.max_shared_bytes = int64_t{163} << 10;  // as on an A100
  CHECK(n_splits(emulated::k10, DType::bf16, 1) == at_once(2));
  CHECK(n_splits(emulated::k11, DType::bf16, 8) == at_once(1));
}

TEST_CASE("the plan is the cheapest, covers all tiles, and leaves no split empty") {
  for (const int64_t n_blocks : {1, 3, 8, 71, 264, 265, 1024})
    for (const int32_t n_tiles : {1, 2, 7, 64, 300})
      for (const int32_t n_multiprocessors : {1, 20, 132}) {
        const gpu::SplitProblem problem{n_blocks, n_tiles, n_multiprocessors};
        const gpu::SplitPlan plan = gpu::plan_splits(problem, kCosts);
        CHECK(plan.n_splits * plan.tiles_per_split >= n_tiles);
        CHECK((plan.n_splits - 1) * plan.tiles_per_split < n_tiles);
        for (int32_t n = 1; n <= std::min(n_tiles, gpu::kMaxSplits); ++n)
          CHECK(gpu::split_cost(problem, plan, kCosts) <=
                gpu::split_cost(problem, gpu::split_into(n, n_tiles), kCosts));
      }
}

TEST_CASE("a cursor names the places that slot_of names") {
  for (const int32_t block_len : {1, 3, 16, 40, 1000})
    for (const int32_t step : {1, 4, 16, 32}) {
      emulated::PageCursor cursor(block_len, 5, step);
      for (int32_t s = 5; s < 400; s += step, cursor.advance()) {
        CHECK(cursor.entry == entry_of(block_len, s));
        CHECK(slot_in(7, block_len, s) == int64_t{7} * block_len + cursor.place);
        const RowLayout layout{3, block_len, 8};
        CHECK(row_in(layout, 7, cursor.place, 2) == scale_offset(layout, slot_in(7, block_len, s), 2));
      }
    }
}

// ---- the kernels

TEST_CASE("1, 2, 3 splits, and more than there are tiles, give the same answer") {
  for (const emulated::Rung* rung : kAllSplitting)
    for (const int32_t n_splits : {1, 2, 3, 40}) {  // 3 under a window
      INFO(n_splits, " splits");
      const auto split = [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; };
      AttendCase c{.n_q_heads = 6,
                   .n_kv_heads = 2,
                   .head_dim = 64,
                   .sequences = {{1, 170}, {2, 33}, {0, 4}, {1, 0}},
                   .kv_dtype = dtype_for(*rung)};
      if (n_splits == 3) c.mask = {true, 70};
      expect_rung(*rung, c, split);
    }
}

TEST_CASE("every partial is written, also the empty ones") {
  for (const emulated::Rung* rung : kSplitting)
    for (const int32_t window : {0, 20}) {
      const AttendCase c{.n_q_heads = 4,
                         .n_kv_heads = 2,
                         .head_dim = 16,
                         .sequences = {{1, 150}, {3, 2}, {1, 0}},
                         .mask = {true, window},
                         .kv_dtype = dtype_for(*rung)};
      const Ran ran = run_rung(*rung, c, {}, [](gpu::AttendTask& t) { t.tuning.n_splits = 7; });
      CHECK(ran.scratch.size() == size_t{7} * 5 * 4 * (16 + 2));
      CHECK(std::count_if(ran.scratch.begin(), ran.scratch.end(), [](float x) { return std::isnan(x); }) ==
            0);
    }
}

TEST_CASE("the merge takes from two splits to the most possible, most of them empty, and rows of any width") {
  for (const int32_t n_splits : {2, 31, 32, 33, 255, gpu::kMaxSplits})
    for (const int32_t head_dim : {8, 30, 33, 80, 256}) {
      INFO(n_splits, " splits");
      expect_rung(emulated::k07,
                  {.n_q_heads = 3, .head_dim = head_dim, .sequences = {{1, 300}, {2, 33}, {1, 0}}},
                  [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; });
    }
}

TEST_CASE("the merge includes the last of many splits that all have keys") {
  for (const auto& [n_splits, head_dim, kv_len] : {std::tuple{64, 8, 64 * 32},
                                                   {65, 8, 65 * 32},
                                                   {gpu::kMaxSplits, 8, gpu::kMaxSplits * 32},
                                                   {100, 33, 100 * 16}})
    expect_rung(emulated::k07, {.head_dim = head_dim, .sequences = {{1, kv_len}}},
                [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; });
}

TEST_CASE("more splits than the maximum become the maximum") {
  const AttendCase c{.head_dim = 16, .sequences = {{1, 300}}};
  const auto ran = [&](int32_t n_splits) {
    return run_rung(emulated::k07, c, {}, [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; });
  };
  CHECK(ran(1000).scratch.size() == size_t{gpu::kMaxSplits} * (16 + 2));
  CHECK(ran(1000).result.out == ran(gpu::kMaxSplits).result.out);
}

TEST_CASE("rows merged together with others have the same bits as alone") {
  const auto split = [](gpu::AttendTask& t) {
    t.tuning.n_splits = 7;
    t.shape.max_kv_len = 200;
  };
  const auto rows_of = [&](std::vector<SequenceSize> sequences) {
    return run_rung(emulated::k07, {.n_q_heads = 3, .head_dim = 80, .sequences = std::move(sequences)}, {},
                    split)
        .result;
  };
  const AttendResult alone = rows_of({{1, 170}}), beside = rows_of({{1, 170}, {1, 40}, {5, 170}});
  CHECK(std::equal(alone.out.begin(), alone.out.end(), beside.out.begin()));
  CHECK(std::equal(alone.lse.begin(), alone.lse.end(), beside.lse.begin()));
}

TEST_CASE("one grid fits a sequence that grows") {
  for (const emulated::Rung* rung : kAllSplitting) {
    std::vector<int64_t> grid_sizes;
    for (const int32_t kv_len : {0, 1, 31, 65, 300}) {
      const auto capacity = [](gpu::AttendTask& t) {
        t.shape.max_kv_len = 400;
        t.device.n_multiprocessors = 20;
      };
      const AttendCase c{.n_q_heads = 4,
                         .n_kv_heads = 2,
                         .head_dim = 64,
                         .sequences = {{1, kv_len}},
                         .block_len = 16,
                         .kv_dtype = dtype_for(*rung)};
      expect_rung(*rung, c, capacity);
      for (const simt::KernelTraffic& k : run_rung(*rung, c, {.report = true}, capacity).traffic)
        grid_sizes.push_back(k.grid.size());
    }
    REQUIRE(grid_sizes.size() == 10);  // the split kernel and the merge, five times
    for (size_t i = 2; i < grid_sizes.size(); ++i) CHECK(grid_sizes[i] == grid_sizes[i - 2]);
  }
}

TEST_CASE("reading block ids ahead changes no bit, nor do asynchronous copies") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const AttendCase c{.n_q_heads = 4,
                       .n_kv_heads = 2,
                       .head_dim = 80,
                       .sequences = {{1, 130}, {5, 33}},
                       .block_len = 16,
                       .block_order = 5,
                       .kv_dtype = dtype};
    const Ran k07 = run_rung(emulated::k07, c, {}), k08 = run_rung(emulated::k08, c, {});
    CHECK(k07.result.out == k08.result.out);
    CHECK(k07.result.lse == k08.result.lse);
    if (dtype == DType::f32) continue;
    const Ran k10 = run_rung(emulated::k10, c, {.check = true});
    CHECK(k07.result.out == k10.result.out);
    CHECK(k07.result.lse == k10.result.lse);
  }
}

TEST_CASE("rungs that count rows in 32 bits refuse more of them") {
  for (const emulated::Rung* rung : {&emulated::k08, &emulated::k09, &emulated::k10}) {
    gpu::AttendShape s{
        .n_kv_heads = 4, .kv_dtype = dtype_for(*rung), .block_len = 16, .n_blocks = (1 << 25) - 1};
    CHECK(rung->supports(s) == "");
    s.n_blocks = 1 << 25;
    CHECK(rung->supports(s).starts_with("it needs at most 2^31 - 1 rows"));
  }
}

TEST_CASE("chunks of a K/V head are neighbours in the grid, so one finds in L2 what the other has read") {
  for (const emulated::Rung* rung : kSplitting) {
    const AttendCase c{.n_q_heads = 2 * 40,
                       .n_kv_heads = 2,
                       .head_dim = 16,
                       .sequences = {{1, 100}, {2, 7}},
                       .kv_dtype = dtype_for(*rung)};
    const uint32_t n_chunks = rung == &emulated::k11 ? 3 : rung == &emulated::k09 ? 10 : 5;
    const Ran ran = run_rung(*rung, c, {.report = true}, [](gpu::AttendTask& t) { t.tuning.n_splits = 4; });
    CHECK(ran.traffic.front().grid.x == 3 * 4 * n_chunks);  // tokens, splits, chunks: the last is fastest
    CHECK(ran.traffic.front().grid.y == 2);
  }
}

TEST_CASE("71 query heads on one K/V head, in chunks") {
  for (const emulated::Rung* rung : kSplitting)
    expect_rung(*rung, {.n_q_heads = 71,
                        .n_kv_heads = 1,
                        .head_dim = 64,
                        .sequences = {{1, 20}},
                        .kv_dtype = dtype_for(*rung)});
}

// ---- bytes

/// Bytes that lanes requested from an array, in all observed blocks.
int64_t bytes_of(const Ran& ran, const std::string& array) {
  int64_t bytes = 0;
  for (const simt::KernelTraffic& k : ran.traffic) {
    CHECK(k.n_blocks == k.n_blocks_observed);
    for (const simt::SiteTraffic& site : k.sites)
      if (site.array == array) bytes += site.bytes;
  }
  return bytes;
}

constexpr simt::Watch kCountAll{.report = true, .n_sample_blocks = 1 << 20};

TEST_CASE("each K and V byte is read once for the eight heads of a group, in full sectors") {
  const AttendCase c{.n_q_heads = 16, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 200}, {1, 77}}};
  for (const int32_t n_splits : {1, 3}) {
    const Ran ran =
        run_rung(emulated::k07, c, kCountAll, [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; });
    CHECK(bytes_of(ran, "g_k") == int64_t{277} * 2 * 64 * 4);
    CHECK(bytes_of(ran, "g_v") == int64_t{277} * 2 * 64 * 4);
    for (const simt::SiteTraffic& site : ran.traffic.front().sites)
      if (site.array == "g_k" || site.array == "g_v") {
        CHECK(site.lane_bytes == 16);
        CHECK(site.n_sectors == site.n_best_sectors);
      }
  }
}

TEST_CASE("the merge reads each partial once, 16 bytes per lane, and its maximum and sum once per 32 dims") {
  for (const auto& [head_dim, lane_bytes, n_dims] :
       {std::tuple{64, 16, 32}, {128, 16, 32}, {80, 16, 32}, {30, 4, 8}}) {
    CAPTURE(head_dim);
    const int32_t n_splits = 40, n_rows = 3 * 5;
    const AttendCase c{.n_q_heads = 5, .head_dim = head_dim, .sequences = {{1, 300}, {1, 20}, {1, 0}}};
    const Ran ran =
        run_rung(emulated::k07, c, kCountAll, [&](gpu::AttendTask& t) { t.tuning.n_splits = n_splits; });
    const simt::KernelTraffic& merge = ran.traffic.at(1);
    CHECK(merge.kernel == std::string("merge_partials"));
    const auto bytes = [&](std::string_view array) {
      int64_t n = 0;
      for (const simt::SiteTraffic& site : merge.sites)
        if (site.array == array) n += site.bytes;
      return n;
    };
    const int64_t n_warps_a_row = (head_dim + n_dims - 1) / n_dims;
    CHECK(bytes("g_acc") == int64_t{4} * n_splits * n_rows * head_dim);
    CHECK(bytes("g_row_max") == 4 * n_splits * n_rows * n_warps_a_row);
    CHECK(bytes("g_row_sum") == 4 * n_splits * n_rows * n_warps_a_row);
    CHECK(bytes("g_out") == int64_t{4} * n_rows * head_dim);
    CHECK(bytes("g_lse") == 4 * n_rows);
    for (const simt::SiteTraffic& site : merge.sites)
      if (site.array == "g_acc") CHECK(site.lane_bytes == lane_bytes);
  }
}

TEST_CASE("int8 moves a quarter of f32's bytes, and one scale per row") {
  AttendCase c{.n_q_heads = 4, .n_kv_heads = 2, .head_dim = 64, .sequences = {{1, 150}}};
  const Ran f32 = run_rung(emulated::k08, c, kCountAll);
  c.kv_dtype = DType::i8;
  const Ran i8 = run_rung(emulated::k09, c, kCountAll);
  CHECK(4 * bytes_of(i8, "g_k") == bytes_of(f32, "g_k"));
  CHECK(4 * bytes_of(i8, "g_v") == bytes_of(f32, "g_v"));
  CHECK(bytes_of(i8, "g_k_scales") == 150 * 2 * 4 * 4);  // four lanes of a group read one address
  CHECK(bytes_of(f32, "g_k_scales") == 0);
}

TEST_CASE("a query that sees a NaN becomes NaN, in its lse too") {
  AttendCase c{.n_q_heads = 2, .n_kv_heads = 1, .head_dim = 16, .sequences = {{1, 3}}, .score_scale = NAN};
  for (const emulated::Rung* rung : kSplitting) {
    c.kv_dtype = dtype_for(*rung);
    const AttendResult r = run_rung(*rung, c, {}).result;
    CHECK(std::isnan(r.out[0]));
    CHECK(std::isnan(r.lse[0]));
  }
}

}  // namespace
}  // namespace lastrow::testing
