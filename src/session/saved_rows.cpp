#include "session/saved_rows.h"

#include <array>
#include <utility>

#include "trace/host_dtype.h"

namespace lastrow {
namespace {

constexpr RowKind kKinds[] = {RowKind::k, RowKind::v};

/// All that a layer stores of K, if it has scales for channels.
template <typename Storage>
auto key_parts(Storage& storage, int32_t layer) {
  return std::array{storage.rows(layer, RowKind::k), storage.scales(layer, RowKind::k),
                    storage.open_keys(layer)};
}

/// Whether the rows of K are saved by themselves.
bool saves_rows(const KvStorage& storage, RowKind kind) {
  return kind == RowKind::v || !storage.has_open_blocks();
}

}  // namespace

void SavedRows::save(Backend& backend, const KvStorage& storage, SlotsOfGroups slots) {
  clear();
  const CacheSpec& spec = storage.spec();
  for (int32_t layer = 0; layer < spec.n_layers; ++layer) {
    const std::vector<int64_t>& of_layer = slots[static_cast<size_t>(spec.group_of(layer))];
    for (const RowKind kind : kKinds) {
      if (!saves_rows(storage, kind)) continue;
      Tensor rows = Tensor::host(host_dtype(storage.rows(layer, kind).dtype()),
                                 {static_cast<int64_t>(of_layer.size()), spec.n_kv_heads, spec.head_dim});
      if (!of_layer.empty()) backend.read_rows(storage, layer, kind, of_layer, rows.view());
      rows_.push_back(std::move(rows));
    }
  }
  slots_ = std::move(slots);
  if (!storage.has_open_blocks()) return;
  for (int32_t layer = 0; layer < spec.n_layers; ++layer)
    for (const ConstTensorView part : key_parts(storage, layer)) {
      Tensor copy = Tensor::host(part.dtype(), part.shape());
      backend.download(part, copy.view());
      sealed_keys_.push_back(std::move(copy));
    }
}

void SavedRows::write_back(Backend& backend, KvStorage& storage) const {
  if (rows_.empty()) return;
  auto rows = rows_.begin();
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer) {
    const std::vector<int64_t>& of_layer = slots_[static_cast<size_t>(storage.spec().group_of(layer))];
    for (const RowKind kind : kKinds) {
      if (!saves_rows(storage, kind)) continue;
      if (!of_layer.empty()) backend.write_rows(storage, layer, kind, of_layer, rows->view());
      ++rows;
    }
  }
  if (!storage.has_open_blocks()) return;
  auto part = sealed_keys_.begin();
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (const TensorView to : key_parts(storage, layer)) backend.write((part++)->view(), to);
}

void SavedRows::clear() {
  for (std::vector<int64_t>& slots : slots_) slots.clear();
  rows_.clear();
  sealed_keys_.clear();
}

}  // namespace lastrow
