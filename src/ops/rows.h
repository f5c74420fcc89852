// Rows as traces name them: which were read, which were written, and which version of them.
//
// Rows live in spaces. A row of a tensor is one step of its first dimension; tensors get small ids in the order
// in which a recorder first meets them, and a version that counts the writes to them. A row of K or V is a slot
// of one layer's storage, all its heads, with a version of its own. Tokens are the packed ids of the step,
// version = step. Parameters are tensors too: they are read and never written.
#pragma once

#include <compare>
#include <cstdint>

namespace lastrow {

enum class RowSpace : uint8_t { tensor, k, v, token };

/// One row, whatever its version.
struct Row {
  RowSpace space;
  int32_t id;  // tensor: its id; k, v: the layer; token: 0
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
  /// Row t of the operand that this span is.
  Row at(int64_t t) const { return {space, id, first + t}; }
  bool operator==(const RowSpan&) const = default;
};

}  // namespace lastrow
