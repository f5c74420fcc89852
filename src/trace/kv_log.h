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

  /// rows [n_slots, n_kv_heads, head_dim]: bytes that add() would keep of them.
  int64_t growth(int32_t layer, RowKind kind, std::span<const int64_t> slots, ConstTensorView rows) const;
  /// Steps never descend.
  void add(int32_t step, int32_t layer, RowKind kind, std::span<const int64_t> slots, ConstTensorView rows);
  /// nullptr: none up to that step.
  const Tensor* row(int32_t step, int32_t layer, RowKind kind, int64_t slot) const;
  /// Forgets the versions of this step and later ones.
  void drop_from(int32_t step);
  /// The same, but gives them back, for put_back.
  KvLog take_from(int32_t step);
  /// Puts behind what is here the versions that take_from gave; their steps are later than any here.
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
