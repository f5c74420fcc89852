#include "session/saved_rows.h"

#include <utility>

#include "trace/host_dtype.h"

namespace lastrow {
namespace {

constexpr RowKind kKinds[] = {RowKind::k, RowKind::v};

}  // namespace

void SavedRows::save(Backend& backend, const KvStorage& storage, SlotsOfGroups slots) {
  clear();
  const CacheSpec& spec = storage.spec();
  for (int32_t layer = 0; layer < spec.n_layers; ++layer) {
    const std::vector<int64_t>& of_layer = slots[static_cast<size_t>(spec.group_of(layer))];
    for (const RowKind kind : kKinds) {
      Tensor rows = Tensor::host(host_dtype(storage.rows(layer, kind).dtype()),
                                 {static_cast<int64_t>(of_layer.size()), spec.n_kv_heads, spec.head_dim});
      if (!of_layer.empty()) backend.read_rows(storage, layer, kind, of_layer, rows.view());
      rows_.push_back(std::move(rows));
    }
  }
  slots_ = std::move(slots);
}

void SavedRows::write_back(Backend& backend, KvStorage& storage) const {
  if (rows_.empty()) return;
  auto rows = rows_.begin();
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer) {
    const std::vector<int64_t>& of_layer = slots_[static_cast<size_t>(storage.spec().group_of(layer))];
    for (const RowKind kind : kKinds) {
      if (!of_layer.empty()) backend.write_rows(storage, layer, kind, of_layer, rows->view());
      ++rows;
    }
  }
}

void SavedRows::clear() {
  for (std::vector<int64_t>& slots : slots_) slots.clear();
  rows_.clear();
}

}  // namespace lastrow
