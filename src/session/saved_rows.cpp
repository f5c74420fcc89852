#include "session/saved_rows.h"

#include <utility>

#include "trace/host_dtype.h"

namespace lastrow {
namespace {

constexpr RowKind kKinds[] = {RowKind::k, RowKind::v};

}  // namespace

void SavedRows::save(Backend& backend, const KvStorage& storage, std::vector<int64_t> slots) {
  clear();
  if (slots.empty()) return;
  const CacheSpec& spec = storage.spec();
  const auto n_slots = static_cast<int64_t>(slots.size());
  for (int32_t layer = 0; layer < spec.n_layers; ++layer)
    for (const RowKind kind : kKinds) {
      Tensor rows = Tensor::host(host_dtype(storage.rows(layer, kind).dtype()),
                                 {n_slots, spec.n_kv_heads, spec.head_dim});
      backend.read_rows(storage, layer, kind, slots, rows.view());
      rows_.push_back(std::move(rows));
    }
  slots_ = std::move(slots);
}

void SavedRows::write_back(Backend& backend, KvStorage& storage) const {
  if (slots_.empty()) return;
  auto rows = rows_.begin();
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (const RowKind kind : kKinds) backend.write_rows(storage, layer, kind, slots_, (rows++)->view());
}

void SavedRows::clear() {
  slots_.clear();
  rows_.clear();
}

}  // namespace lastrow
