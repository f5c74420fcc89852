// A session that begins behind saved rows.
#include <algorithm>
#include <utility>

#include "io/checked.h"
#include "session/decorators.h"
#include "session/saved_cache.h"
#include "session/session_cache.h"
#include "session/transaction.h"
#include "trace/host_dtype.h"

namespace lastrow {

void DecodeSession::require_fits(const SavedCache& saved) const {
  const std::string source = saved.source.empty() ? "the saved cache" : saved.source;
  const ModelIdentity own = identity_of(*model_);
  if (saved.model != own)
    throw UsageError("{} is of another model, {}: {}. Load it with the model that made it", source,
                     shown(saved.model.config.name), difference(saved.model, own));
  require_can_be_saved(options_.cache);
  if (options_.mode == Mode::recompute) return;
  const std::string here = kv_dtype_text(cache_->spec());
  if (saved.kv_dtype != here)
    throw UsageError("{} stores K and V as {}, but this session as {}: choose {} here too", source,
                     saved.kv_dtype, here, saved.kv_dtype);
  for (int32_t layer = 0; layer < storage_->spec().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v}) {
      const Tensor& rows = (kind == RowKind::k ? saved.k : saved.v)[static_cast<size_t>(layer)];
      const DType dtype = saved_dtype(std::as_const(*storage_).rows(layer, kind).dtype());
      if (rows.view().dtype() != dtype)
        throw UsageError(
            "the rows of {} are {}, and those of this backend are {}: use a backend of the same precision",
            source, lastrow::name_of(rows.view().dtype()), lastrow::name_of(dtype));
    }
}

void DecodeSession::start_from(const SavedCache& saved, std::span<const int32_t> new_tokens) {
  LASTROW_CHECK(backup_ != nullptr, "start_from() while a transaction is open");
  require_fits(saved);
  std::vector<int32_t> prompt = saved.tokens;
  prompt.insert(prompt.end(), new_tokens.begin(), new_tokens.end());
  require_prompt(prompt);
  {
    Transaction change(*this);
    change.load(saved, prompt);
    change.keep();
  }
  if (stack_->recorder) stack_->recorder->clear();
}

void DecodeSession::Transaction::load(const SavedCache& saved, std::span<const int32_t> prompt) {
  require_first_call();
  // The last token of the prompt is fed in any case, because its logits are needed.
  const int32_t n_rows = std::min(saved.n_rows(), static_cast<int32_t>(prompt.size()) - 1);
  session_.cache_->reset(0);
  save_forgotten_rows();
  state_.begin_text(prompt, n_rows);
  session_.stack_->poking.set_pokes({});
  if (session_.mode() == Mode::recompute || n_rows == 0) return;
  has_run_ = true;
  KvCache& cache = *session_.cache_;
  const SequenceInput loaded{0, prompt.first(static_cast<size_t>(n_rows)), LogitRows::none};
  const StepPlan& plan = cache.plan({&loaded, 1});
  try {
    if (!std::equal(plan.positions.begin(), plan.positions.end(), saved.positions.begin()))
      throw UsageError(
          "the saved rows have other positions than this kind of cache gives them: use the kind that they "
          "came from, {}",
          shown(saved.cache_name));
    for (int32_t layer = 0; layer < session_.storage_->spec().n_layers; ++layer) {
      write_loaded_rows(plan.append_slots, layer, RowKind::k, saved.k[static_cast<size_t>(layer)].view());
      write_loaded_rows(plan.append_slots, layer, RowKind::v, saved.v[static_cast<size_t>(layer)].view());
    }
  } catch (...) {
    cache.abort(plan);
    throw;
  }
  cache.commit(plan);
}

/// The first rows of `rows`, one for each slot.
void DecodeSession::Transaction::write_loaded_rows(std::span<const int64_t> slots, int32_t layer,
                                                   RowKind kind, ConstTensorView rows) {
  const ConstTensorView loaded = rows.rows(0, static_cast<int64_t>(slots.size()));
  Tensor wide = Tensor::host(host_dtype(loaded.dtype()), loaded.shape());
  convert(loaded, wide.view());
  session_.backend_->write_rows(*session_.storage_, layer, kind, slots, std::as_const(wide).view());
}

}  // namespace lastrow
