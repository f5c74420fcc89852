// K and V rows copied out of a storage, so that they can be written back bit for bit after a call that failed.
//
//   SavedRows saved;
//   saved.save(backend, storage, slots);   of every layer; replaces what was saved before
//   …steps that overwrite them…
//   saved.write_back(backend, storage);    or saved.clear()
//
// Until clear() it takes host memory for 2 · n_layers rows of each slot.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/backend.h"

namespace lastrow {

class SavedRows {
 public:
  void save(Backend& backend, const KvStorage& storage, std::vector<int64_t> slots);
  void write_back(Backend& backend, KvStorage& storage) const;
  void clear();

 private:
  std::vector<int64_t> slots_;
  std::vector<Tensor> rows_;  // K of layer 0, V of layer 0, K of layer 1, …: [n_slots, n_kv_heads, head_dim]
};

}  // namespace lastrow
