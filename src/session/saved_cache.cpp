#include "session/saved_cache.h"

#include <utility>

#include "session/session.h"
#include "session/session_cache.h"

namespace lastrow {
namespace {

/// The rows of a layer in the type in which they are saved.
Tensor saved_rows(const DecodeSession& session, int32_t layer, RowKind kind) {
  Tensor rows = session.stored_rows(layer, kind);
  if (session.cache().spec().dtypes().of(kind) != DType::f16) return rows;
  Tensor saved = Tensor::host(DType::f16, rows.shape());
  convert(std::as_const(rows).view(), saved.view());
  return saved;
}

}  // namespace

SavedCache save_cache(const DecodeSession& session) {
  if (session.mode() == Mode::recompute)
    throw UsageError("a session without a cache has no rows to save: use Mode::cached");
  if (session.current_step() < 0) throw UsageError("no step has been taken, so there are no rows to save");
  require_can_be_saved(session.options().cache);
  if (!session.pokes().empty())
    throw UsageError("pokes have changed the rows: take them back before you save the cache");
  SavedCache saved;
  saved.model = identity_of(session.model());
  saved.kv_dtype = kv_dtype_text(session.cache().spec());
  saved.cache_name = name_of(session.options().cache);
  for (int32_t index = 0; index < session.kv_len(); ++index) {
    const int32_t position = session.position_of(index);
    saved.positions.push_back(position);
    saved.tokens.push_back(session.tokens()[static_cast<size_t>(position)]);
  }
  for (int32_t layer = 0; layer < session.model().config().n_layers; ++layer) {
    saved.k.push_back(saved_rows(session, layer, RowKind::k));
    saved.v.push_back(saved_rows(session, layer, RowKind::v));
  }
  return saved;
}

DType saved_dtype(DType stored) { return stored == DType::f16 || stored == DType::f64 ? stored : DType::f32; }

std::string kv_dtype_text(const CacheSpec& spec) { return kv_dtypes_name(spec.dtypes()); }

}  // namespace lastrow
