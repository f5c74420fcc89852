#include "session/session.h"

#include <algorithm>
#include <utility>

#include "session/argument_checks.h"
#include "session/decorators.h"
#include "session/session_cache.h"
#include "session/transaction.h"
#include "trace/host_dtype.h"

namespace lastrow {

const char* name_of(Mode mode) { return mode == Mode::cached ? "cached" : "recompute"; }
const char* name_of(Phase phase) { return phase == Phase::prefill ? "prefill" : "decode"; }

namespace {

/// The options with the model's values in place of zeros. Throws if the model cannot have them.
SessionOptions completed(SessionOptions options, const Model& model) {
  if (options.chunk < 0)
    throw UsageError("a chunk of {} tokens: choose 1 or more, or 0 for the whole prompt", options.chunk);
  options.cache = completed(options.cache, model.config());
  options.max_seq_len = longest_text(options.cache, options.max_seq_len, model.config());
  options.chunk = longest_chunk(options.cache, options.chunk, options.max_seq_len);
  return options;
}

std::unique_ptr<KvCache> session_cache(const Model& model, const SessionOptions& options) {
  const ModelConfig& c = model.config();
  if (options.mode == Mode::cached && options.cache.share_prefix)
    throw UsageError(
        "a session has one text, so there is no other one to share rows with: leave out "
        "share_prefix, or use a BatchSession");
  return make_cache(options.mode == Mode::cached ? options.cache : scratch_of(options.cache),
                    {.n_layers = c.n_layers,
                     .n_kv_heads = c.n_kv_heads,
                     .head_dim = c.head_dim,
                     .max_seq_len = options.max_seq_len,
                     .longest_step = options.chunk});
}

/// The types of the session's storage.
KvDtypes stored_dtypes(const SessionOptions& options) {
  return options.mode == Mode::cached ? options.cache.dtypes() : KvDtypes{};
}

}  // namespace

DecodeSession::DecodeSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend,
                             SessionOptions options)
    : model_(std::move(model)),
      options_(completed(std::move(options), *model_)),
      backend_(std::move(backend)),
      stack_(std::make_unique<Decorators>(*backend_, options_.record, options_.on_attend,
                                          stored_dtypes(options_))),
      decoder_(*model_, stack_->top()),
      workspace_(model_->config(), stack_->top(), longest_forward(options_.cache, options_.max_seq_len),
                 /*max_logit_rows=*/1),
      cache_(session_cache(*model_, options_)),
      storage_(backend_->make_storage(cache_->spec())),
      sampler_(options_.sampling, model_->config().vocab_size),
      backup_(std::make_unique<Backup>()) {
  backup_->cache = session_cache(*model_, options_);
  if (cache_->wants_mass())
    workspace_.make_mass(model_->config(), stack_->top(), cache_->spec().max_kv_len());
  if (uses_new_positions(options_.cache) && model_->config().has_rope())
    workspace_.make_rotated_keys(cache_->spec(), stack_->top());
  const auto max_tokens = static_cast<size_t>(max_seq_len()) + 1;
  for (SessionState* state : {&state_, &backup_->state}) {
    state->reserve(max_tokens);
    state->logits.resize(static_cast<size_t>(model_->config().vocab_size));
  }
}

DecodeSession::~DecodeSession() = default;

BackendInfo DecodeSession::backend_info() const { return backend_->info(); }
int32_t DecodeSession::max_seq_len() const { return cache_->spec().max_seq_len; }

int32_t DecodeSession::n_prefill_steps() const {
  const int32_t n_tokens = state_.prompt_len - state_.n_loaded;
  return options_.chunk == 0 ? std::min(n_tokens, 1) : (n_tokens + options_.chunk - 1) / options_.chunk;
}

int32_t DecodeSession::n_tokens_at(int32_t step) const {
  LASTROW_CHECK(step >= -1 && step <= last_step(), "step {} of {} that were taken", step, last_step() + 1);
  return step < 0 ? state_.n_loaded : state_.steps()[static_cast<size_t>(step)].n_tokens;
}

Phase DecodeSession::phase_of(int32_t step) const {
  LASTROW_CHECK(step >= 0 && step <= last_step(), "step {} of {} that were taken", step, last_step() + 1);
  return state_.steps()[static_cast<size_t>(step)].phase;
}

const Recorder& DecodeSession::recorder() const {
  LASTROW_CHECK(stack_->recorder != nullptr, "recorder() without SessionOptions::record");
  return *stack_->recorder;
}

const PokeReport& DecodeSession::poke_report(size_t i) const {
  LASTROW_CHECK(i < state_.pokes.size(), "poke {} of {}", i, state_.pokes.size());
  return state_.reports[i];
}

void DecodeSession::require_prompt(std::span<const int32_t> prompt) const {
  if (prompt.empty()) throw UsageError("the prompt is empty: give at least one word");
  if (static_cast<int64_t>(prompt.size()) > max_seq_len())
    throw CapacityError("the prompt has {} tokens, but {} has room for {}: shorten the prompt", prompt.size(),
                        limit_of_text(options_.cache), max_seq_len());
  require_in_vocabulary(prompt, model_->config());
}

void DecodeSession::start(std::vector<int32_t> prompt) {
  LASTROW_CHECK(backup_ != nullptr, "start() while a transaction is open");
  require_prompt(prompt);
  state_.begin_text(prompt, /*n_loaded_rows=*/0);
  cache_->reset(0);
  stack_->poking.set_pokes({});
  if (stack_->recorder) stack_->recorder->clear();
}

const StepRecord& DecodeSession::advance(int32_t forced) {
  Transaction change(*this);
  change.advance(forced);
  change.keep();
  return state_.record;
}

const StepRecord& DecodeSession::advance(std::span<const int32_t> tokens) {
  Transaction change(*this);
  change.advance(tokens);
  change.keep();
  return state_.record;
}

const StepRecord& DecodeSession::go_to(int32_t step) {
  Transaction change(*this);
  change.go_to(step);
  change.keep();
  return state_.record;
}

void DecodeSession::set_pokes(std::vector<Poke> pokes) {
  Transaction change(*this);
  change.set_pokes(std::move(pokes));
  change.keep();
}

void DecodeSession::require_held(const KvCache& cache, int32_t index) const {
  if (index < 0 || index >= cache.length(0))
    throw UsageError("there is no index {}: the sequence holds {} rows, and indices count from 0", index,
                     cache.length(0));
}

int32_t DecodeSession::position_of(int32_t index) const {
  require_held(*cache_, index);
  return cache_->position_of(0, index);
}

int64_t DecodeSession::slot(int32_t index) const {
  require_held(*cache_, index);
  return cache_->slot(0, index);
}

void DecodeSession::require_stored_rows() const {
  if (!state_.rows_are_stored)
    throw UsageError(
        "the rows of step {} were overwritten by a call that failed: go_to({}) computes them again",
        state_.step, state_.step);
}

Tensor DecodeSession::stored_row(int32_t layer, RowKind kind, int32_t index) const {
  require_stored_rows();
  const KvCache& cache = cache_->of_layer(layer);
  require_held(cache, index);
  const int64_t at = cache.slot(0, index);
  const CacheSpec& spec = cache_->spec();
  Tensor row = Tensor::host(DType::f32, {1, spec.n_kv_heads, spec.head_dim});
  backend_->read_rows(*storage_, layer, kind, {&at, 1}, row.view());
  return row;
}

Tensor DecodeSession::stored_rows(int32_t layer, RowKind kind) const {
  require_stored_rows();
  const KvCache& cache = cache_->of_layer(layer);
  std::vector<int64_t> slots;
  for (int32_t index = 0; index < cache.length(0); ++index) slots.push_back(cache.slot(0, index));
  const CacheSpec& spec = cache_->spec();
  Tensor rows = Tensor::host(host_dtype(std::as_const(*storage_).rows(layer, kind).dtype()),
                             {cache.length(0), spec.n_kv_heads, spec.head_dim});
  backend_->read_rows(*storage_, layer, kind, slots, rows.view());
  return rows;
}

}  // namespace lastrow
