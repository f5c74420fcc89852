// The attention problems that rungs are timed on.
//
//   for (const TimedShape& shape : timed_shapes(ShapeSet::table)) …
//   for (const TimedShape& shape : chosen_shapes(ShapeSet::full, {"prefill", "32:8x128 b1 decode"})) …
//
// K and V of a shape take at most kMostKvBytes, so that a slow rung cannot use up the time of the others.
#pragma once

#include <string>
#include <vector>

#include "gpu/parts/attend_call.h"

namespace lastrow::driver {

/// Sequences of one size: decode if q_len is 1, else a causal prefill.
struct TimedShape {
  int32_t n_q_heads, n_kv_heads, head_dim, batch, q_len, kv_len;
  DType dtype;
  int32_t block_len;  // 0: contiguous

  std::string name() const;  // "32:8×128 b8 kv4096 bf16", "… paged16"
  gpu::AttendShape shape() const;
  /// Bytes of K and V, scales included, each counted once.
  int64_t kv_bytes() const;
};

inline constexpr int64_t kMostKvBytes = 4'000'000'000;

/// full   five shapes of heads × four batches × three lengths × four types × three kinds of blocks; prefills
/// table  the part of these that gpu/README.md shows
/// few    fourteen of them, the most informative first: as many as a few minutes on a GPU allow
enum class ShapeSet { full, table, few };

std::vector<TimedShape> timed_shapes(ShapeSet set);

/// The shapes of a set that fit a choice, in the order of the choices. A choice is a list of words from a
/// shape's name, or decode, prefill, contiguous; a shape fits if it has all of them. An x means ×. Without a
/// choice: all shapes. Throws UsageError if no shape fits a choice.
std::vector<TimedShape> chosen_shapes(ShapeSet set, const std::vector<std::string>& choices);

}  // namespace lastrow::driver
