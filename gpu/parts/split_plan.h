// Chooses over how many blocks the K/V of a sequence are split, by a small cost model. Host code without
// CUDA.
//
//   SplitPlan plan = plan_splits({.n_blocks = 8, .n_tiles = 1024, .n_multiprocessors = 132},
//                                split_costs(SplitKind::loads));
//   plan.n_splits blocks share the tiles; each takes plan.tiles_per_split consecutive tiles
//
// The model: a block computes one tile in one unit of time. All multiprocessors work at once, in waves.
//   cost(n) = ⌈waves(n)⌉ · (tiles per split + start) + (n > 1: merge + per_split · n)
// Few splits leave multiprocessors idle. Many splits pay for more block starts, and for a longer merge. Sizes
// are upper bounds that are known before the lengths are, so one plan holds for every step of a recorded
// graph. The costs are in kSplitCosts, one row for each kind of loop. Nobody has measured them yet.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lastrow::gpu {

/// In units of the time that one block takes for one tile.
struct SplitCosts {
  double start;      // start of a block: three dependent loads before the first K row, the merge of its warps
  double merge;      // the second kernel
  double per_split;  // one more partial to write and to read
};

/// How a rung's loop reads its keys.
enum class SplitKind {
  loads,     // into registers: k07, k08, k09
  copies,    // by asynchronous copies, some stages ahead: k10
  products,  // the same, and tensor cores multiply: k11
};

/// The only table of costs: one row for each SplitKind. They are guesses for head_dim 128 in bf16. A tile is
/// 16 KiB (loads, copies) or 32 KiB (products). A multiprocessor gets 25 bytes per ns, which three blocks
/// (loads, copies) or two (products) share, so a tile takes about 2 or 2.6 µs. merge_partials is expected to take
/// 1 to 2 µs, and 0.3 µs more for each 32 splits.
///
/// How to fit a row. Take "us" of a kernel from the JSON of `lastrow-kernels --time --shapes full --json
/// FILE`, for the decode shapes of one head_dim and dtype whose "kv_bytes" are more than L2 holds. With the
/// waves, tiles and n of the shape's plan, and u as the time of a tile,
///   us = u · waves · tiles + u·start · waves + (n > 1: u·merge + u·per_split · n)
/// is linear in u, u·start, u·merge and u·per_split. Fit these by least squares: the first two from shapes
/// with n = 1 alone, then the others.
inline constexpr SplitCosts kSplitCosts[] = {
    // start merge per_split
    {2.5, 1.00, 0.01},  // loads
    {2.5, 1.00, 0.01},  // copies
    {2.5, 0.75, 0.01},  // products
};
constexpr const SplitCosts& split_costs(SplitKind kind) { return kSplitCosts[static_cast<int>(kind)]; }

struct SplitProblem {
  int64_t n_blocks = 1;  // blocks of the grid without splits
  int32_t n_tiles = 1;   // tiles of the longest sequence
  int32_t n_multiprocessors = 1;
  int32_t blocks_at_once = 2;  // on each multiprocessor: the number that the kernel is compiled for
};

struct SplitPlan {
  int32_t n_splits = 1, tiles_per_split = 1;
  bool sinks_apart = false;  // the first split takes all sinks, the others share the keys behind them
};

constexpr int32_t kMaxSplits = 256;  // with the one of the sinks

/// A plan of that many splits. If there are fewer tiles, some splits are empty.
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

/// The cheapest plan of at most kMaxSplits splits; of equally cheap ones, the one with fewest splits. At full
/// length no split is empty.
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
