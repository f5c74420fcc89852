// The K and V rows of a history, each stored again only where its bits differ.
//
//   log.add(step, layer, kind, slots, rows)      what attend read in that step; equal rows cost nothing
//   log.row(step, layer, kind, slot)             the latest version whose step is ≤ step
//
// Steps are added in ascending order; drop_from(step) forgets the later ones first.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "backend/storage.h"
#include "core/tensor.h"

namespace lastrow {

class KvLog {
 public:
  struct Version {
    int32_t step;
    Tensor row;  // [n_kv_heads, head_dim]
  };
  struct Key {
    int32_t layer;
    RowKind kind;
    int64_t slot;
    auto operator<=>(const Key&) const = default;
  };

  /// rows [n_slots, n_kv_heads, head_dim]. With `replace`, a differing row takes the place of the version
  /// before it (a log of the latest step alone). Returns the bytes that the log grew by.
  int64_t add(int32_t step, int32_t layer, RowKind kind, std::span<const int64_t> slots, ConstTensorView rows,
              bool replace);
  /// Bytes that add() would take at most for rows of this size.
  static int64_t bytes_for(ConstTensorView rows);
  /// nullptr: none up to that step.
  const Tensor* row(int32_t step, int32_t layer, RowKind kind, int64_t slot) const;
  void drop_from(int32_t step);
  void clear();

  const std::map<Key, std::vector<Version>>& rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::map<Key, std::vector<Version>> rows_;  // versions by ascending step
  int64_t bytes_ = 0;
};

}  // namespace lastrow
