// How traces name the rows that an operation reads and writes: space, id, row, and version.
//
//   space     a row is                            id                             version
//   tensor    one index of the first dimension    a number for each tensor       writes to the tensor so far
//   k, v      one slot of one layer, all heads    the layer                      writes to the slot so far
//   token     one of the step's packed token ids  0                              the step
//   rotated   one slot of one layer, all heads    the layer                      writes to the slot so far
//
// "k" and "v" are stored rows. "rotated" is the scratch that holds K after RoPE, if the cache stores K before it
// (ops/rotate_keys.h).
//
// Tensors get the ids 0, 1, 2, … in the order in which a recorder first sees them. Parameters are tensors
// too, but they are never written.
#pragma once

#include <compare>
#include <cstdint>

namespace lastrow {

enum class RowSpace : uint8_t { tensor, k, v, token, rotated };
inline constexpr RowSpace kLastRowSpace = RowSpace::rotated;

/// One row, of any version.
struct Row {
  RowSpace space;
  int32_t id;  // tensor: its id; k, v, rotated: the layer; token: 0
  int64_t row;
  auto operator<=>(const Row&) const = default;
};

/// Rows [first, first + count) of one space, all of one version.
struct RowSpan {
  RowSpace space;
  int32_t id;  // as in Row
  int64_t first, count;
  int64_t version;

  bool contains(const Row& r) const {
    return space == r.space && id == r.id && r.row >= first && r.row < first + count;
  }
  /// Row t of this span.
  Row at(int64_t t) const { return {space, id, first + t}; }
  bool operator==(const RowSpan&) const = default;
};

}  // namespace lastrow
