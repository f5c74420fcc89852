// The rows of K and V that the cache holds. In a cache that forgets rows, the position of a row is not its index and
// not its slot; these functions find one from the other.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/kv_cache.h"

namespace lastrow::view {

/// A row of K and of V in the cache: the position of its token, and the slot in which it is stored.
struct PlacedRow {
  int32_t position = 0;
  int64_t slot = 0;
  int32_t new_position = -1;  // the one that RoPE and ALiBi go by, if the cache uses new positions; else −1
  bool operator==(const PlacedRow&) const = default;
};

/// The rows that the cache holds in a group of layers (CacheSpec::group).
struct HeldRows {
  // By index, in ascending order of position: what attention read, and what the cache holds after the step.
  // Without a cache `kept` is empty.
  std::vector<PlacedRow> keys, kept;
  std::vector<EvictedRow> evicted;  // what the cache forgot when the step ended

  int n_keys() const { return static_cast<int>(keys.size()); }
  bool operator==(const HeldRows&) const = default;
};

/// The index of the row of K and V at a position, or −1 if it is not stored.
int index_of(const std::vector<PlacedRow>& rows, int position);
/// by_index [n_rows, keys.size()], columns in the order of indices → to [n_rows, n_tokens], columns in the order of
/// positions. `elsewhere` is at the positions that have no key.
void to_positions(const float* by_index, int64_t n_rows, const std::vector<PlacedRow>& keys, int64_t n_tokens,
                  float elsewhere, float* to);
bool was_evicted(const HeldRows& rows, int position);

}  // namespace lastrow::view
