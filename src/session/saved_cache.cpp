#include "session/saved_cache.h"

#include <utility>

#include "session/decorators.h"
#include "session/transaction.h"
#include "trace/host_dtype.h"

namespace lastrow {
namespace {

/// The stored rows at these slots: [n_slots, n_kv_heads, head_dim].
Tensor read_rows(Backend& backend, const KvStorage& storage, int32_t layer, RowKind kind,
                 std::span<const int64_t> slots) {
  const CacheSpec& spec = storage.spec();
  const DType stored = storage.rows(layer, kind).dtype();
  Tensor rows =
      Tensor::host(host_dtype(stored), {static_cast<int64_t>(slots.size()), spec.n_kv_heads, spec.head_dim});
  backend.read_rows(storage, layer, kind, slots, rows.view());
  if (saved_dtype(stored) == rows.view().dtype()) return rows;
  Tensor saved = Tensor::host(saved_dtype(stored), rows.view().shape());
  convert(std::as_const(rows).view(), saved.view());
  return saved;
}

}  // namespace

SavedCache save_cache(const DecodeSession& session) {
  if (session.mode() == Mode::recompute)
    throw UsageError("a session without a cache has no rows to save: use Mode::cached");
  if (session.current_step() < 0) throw UsageError("no step has been taken, so there are no rows to save");
  if (!session.pokes().empty())
    throw UsageError("pokes have changed the rows: take them back before you save the cache");
  session.require_stored_rows();
  SavedCache saved;
  saved.model = identity_of(session.model());
  saved.kv_dtype = kv_dtype_text(session.cache().spec());
  saved.cache_name = name_of(session.options_.cache);
  std::vector<int64_t> slots;
  for (int32_t index = 0; index < session.kv_len(); ++index) {
    const int32_t position = session.position_of(index);
    slots.push_back(session.slot(index));
    saved.positions.push_back(position);
    saved.tokens.push_back(session.tokens()[static_cast<size_t>(position)]);
  }
  const KvStorage& storage = *session.storage_;
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer) {
    saved.k.push_back(read_rows(*session.backend_, storage, layer, RowKind::k, slots));
    saved.v.push_back(read_rows(*session.backend_, storage, layer, RowKind::v, slots));
  }
  return saved;
}

DType saved_dtype(DType stored) { return stored == DType::f16 || stored == DType::f64 ? stored : DType::f32; }

std::string kv_dtype_text(const CacheSpec& spec) { return kv_dtypes_name(spec.dtypes()); }

}  // namespace lastrow
