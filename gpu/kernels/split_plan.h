// Over how many blocks a sequence's K/V are split, from a small cost model. Host code, no CUDA in here.
//
//   SplitPlan plan = plan_splits({.n_blocks = 8, .n_tiles = 1024, .n_multiprocessors = 132},
//                                split_costs(SplitKind::loads));
//   plan.n_splits blocks share the tiles; each takes plan.tiles_per_split in a row
//
// The model: one block works through a tile in one unit of time, all multiprocessors at once, in waves.
//   cost(n) = ⌈waves(n)⌉ · (tiles per split + start) + (n > 1: merge + per_split · n)
// Few splits leave multiprocessors idle; many pay each block's start, and the merge, more often.
// Sizes are bounds known before the lengths are, so the plan holds for every step of a recorded graph.
// The costs are split_costs, one row for each kind of loop; nobody has measured them yet.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lastrow::gpu {

/// In units of the time that one block takes for one tile.
struct SplitCosts {
  double start;      // of a block: three dependent loads before the first K row, the merge of its warps
  double merge;      // of a second kernel
  double per_split;  // one more partial to write and to read
};

/// How a rung's loop takes its keys.
enum class SplitKind {
  loads,     // into registers: k07, k08, k09
  copies,    // asynchronous, stages ahead: k10
  products,  // the same, multiplied on tensor cores: k11
};

/// The only table of costs: a row for each SplitKind. They are guesses, for head_dim 128 in bf16. A tile is 16
/// KiB (loads, copies) or 32 KiB (products). A multiprocessor gets 25 bytes a ns, which three blocks share, or
/// two, so a tile takes about 2 or 2.6 µs. k07_merge is expected to take 1 to 2 µs, and 0.3 µs more for each
/// 32 splits.
///
/// To fit a row, take "us" of a kernel from the JSON of `lastrow-kernels --time --shapes full --json FILE`,
/// for the decode shapes of one head_dim and dtype whose "kv_bytes" are more than L2 holds. With waves, tiles
/// and n of the shape's plan, and u the time of a tile,
///   us = u · waves · tiles + u·start · waves + (n > 1: u·merge + u·per_split · n)
/// is linear in u, u·start, u·merge and u·per_split: least squares, shapes with n = 1 for the first two
/// alone.
inline constexpr SplitCosts kSplitCosts[] = {
    // start merge per_split
    {2.5, 1.00, 0.01},  // loads
    {2.5, 1.00, 0.01},  // copies
    {2.5, 0.75, 0.01},  // products
};
constexpr const SplitCosts& split_costs(SplitKind kind) { return kSplitCosts[static_cast<int>(kind)]; }

struct SplitProblem {
  int64_t n_blocks = 1;  // of the grid if nothing is split
  int32_t n_tiles = 1;   // that the longest sequence may have
  int32_t n_multiprocessors = 1;
  int32_t blocks_at_once = 2;  // on each of them: what the kernel is compiled for
};

struct SplitPlan {
  int32_t n_splits = 1, tiles_per_split = 1;
};

constexpr int32_t kMaxSplits = 256;

/// A plan of that many splits; some are empty where there are fewer tiles.
constexpr SplitPlan split_into(int32_t n_splits, int32_t n_tiles) {
  return {n_splits, std::max(1, (n_tiles + n_splits - 1) / n_splits)};
}

constexpr double split_cost(const SplitProblem& p, SplitPlan plan, const SplitCosts& c) {
  const int64_t n_blocks = p.n_blocks * plan.n_splits,
                at_once = int64_t{p.n_multiprocessors} * p.blocks_at_once,
                n_waves = (n_blocks + at_once - 1) / at_once;
  const double merge = plan.n_splits > 1 ? c.merge + c.per_split * plan.n_splits : 0;
  return static_cast<double>(n_waves) * (plan.tiles_per_split + c.start) + merge;
}

/// The cheapest plan of at most kMaxSplits; of equal ones that with the fewest splits. None of them is empty
/// at full length.
constexpr SplitPlan plan_splits(const SplitProblem& p, const SplitCosts& c) {
  SplitPlan best = split_into(1, p.n_tiles);
  for (int32_t n = 2; n <= std::min(p.n_tiles, kMaxSplits); ++n) {
    const SplitPlan plan = split_into(n, p.n_tiles);
    if ((n - 1) * plan.tiles_per_split >= p.n_tiles) continue;  // the last would be empty
    if (split_cost(p, plan, c) < split_cost(p, best, c)) best = plan;
  }
  return best;
}

}  // namespace lastrow::gpu
