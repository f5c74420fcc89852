// Copies of stored K and V rows. If a call fails, they are written back, bit for bit.
//
//   SavedRows saved;
//   saved.save(backend, storage, slots);   rows of all layers; replaces rows saved earlier
//   …steps that overwrite them…
//   saved.write_back(backend, storage);    or saved.clear()
//
// Until clear(), it holds 2 · n_layers rows for each slot in host memory. If K has scales for channels, a row alone
// cannot be written back, so it holds all codes, scales and open rows of K as they are stored.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace lastrow {

class SavedRows {
 public:
  /// The slots to save in the layers of each group (CacheSpec::group).
  using SlotsOfGroups = std::array<std::vector<int64_t>, 2>;
  void save(Backend& backend, const KvStorage& storage, SlotsOfGroups slots);
  void write_back(Backend& backend, KvStorage& storage) const;
  void clear();

 private:
  SlotsOfGroups slots_;
  std::vector<Tensor> rows_;  // K of layer 0, V of layer 0, K of layer 1, …: [n_slots, n_kv_heads, head_dim]
  std::vector<Tensor> sealed_keys_;  // codes of layer 0, its scales, its open rows, codes of layer 1, …
};

}  // namespace lastrow
