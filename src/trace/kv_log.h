// The K and V rows of a history. A row is stored again only if its bits have changed.
//
//   log.add(step, layer, kind, slots, rows)   the rows that attend read in that step; equal rows cost nothing
//   log.row(step, layer, kind, slot)          the latest version whose step is ≤ step
//
// Add steps in ascending order. To add an earlier step again, call drop_from(step) first.
// Invariant: the versions of a row are in the order of their steps, and each differs from the one before it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "core/tensor.h"
#include "ops/kv_storage.h"

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

  /// The bytes by which add() would grow the log. rows [n_slots, n_kv_heads, head_dim]
  int64_t growth(int32_t layer, RowKind kind, std::span<const int64_t> slots, ConstTensorView rows) const;
  /// `step` must not be smaller than in an earlier call.
  void add(int32_t step, int32_t layer, RowKind kind, std::span<const int64_t> slots, ConstTensorView rows);
  /// nullptr if the row has no version up to this step.
  const Tensor* row(int32_t step, int32_t layer, RowKind kind, int64_t slot) const;
  /// Forgets the versions of this step and of later steps.
  void drop_from(int32_t step);
  /// The same, but returns these versions, for put_back.
  KvLog take_from(int32_t step);
  /// Adds the versions that take_from returned. Their steps must be later than all steps in the log.
  void put_back(KvLog later);
  void clear();

  const std::map<Key, std::vector<Version>>& rows() const { return rows_; }
  int64_t bytes() const { return bytes_; }

 private:
  bool differs(const Key& key, ConstTensorView row) const;

  std::map<Key, std::vector<Version>> rows_;  // versions by ascending step
  int64_t bytes_ = 0;
};

}  // namespace lastrow
