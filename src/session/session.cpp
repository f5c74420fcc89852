#include "session/session.h"

#include <algorithm>
#include <chrono>

#include "session/decorators.h"

namespace lastrow {

const char* name_of(Mode mode) { return mode == Mode::cached ? "cached" : "recompute"; }
const char* name_of(Phase phase) { return phase == Phase::prefill ? "prefill" : "decode"; }

namespace {

/// Of Backend::replay: a session has one decoder, one workspace and one storage.
constexpr int64_t kDecode = 1;

int32_t context_of(const Model& model, const SessionOptions& options) {
  const int32_t context = model.config().max_seq_len;
  if (options.max_seq_len < 0 || options.max_seq_len > context)
    throw CapacityError("max_seq_len {} is not within the context of {}, which is {}: choose at most that",
                        options.max_seq_len, model.config().name, context);
  return options.max_seq_len == 0 ? context : options.max_seq_len;
}

CacheSpec cache_spec(const Model& model, const SessionOptions& options) {
  const ModelConfig& c = model.config();
  return CacheSpec::contiguous(c.n_layers, c.n_kv_heads, c.head_dim, context_of(model, options), 1,
                               options.mode == Mode::cached ? options.kv_dtype : DType::f32);
}

}  // namespace

DecodeSession::DecodeSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend,
                             SessionOptions options)
    : model_(std::move(model)),
      options_(std::move(options)),
      backend_(std::move(backend)),
      stack_(std::make_unique<Decorators>(*backend_, options_)),
      decoder_(*model_, stack_->top()),
      workspace_(model_->config(), stack_->top(), context_of(*model_, options_), /*max_logit_rows=*/1),
      cache_(std::make_unique<ContiguousCache>(cache_spec(*model_, options_))),
      storage_(backend_->make_storage(cache_->spec())),
      sampler_(options_.sampling, model_->config().vocab_size) {
  tokens_.reserve(static_cast<size_t>(max_seq_len()) + 1);
  logits_.resize(static_cast<size_t>(model_->config().vocab_size));
  fresh_logits_.resize(logits_.size());
  before_.tokens.reserve(tokens_.capacity());
}

DecodeSession::~DecodeSession() = default;

std::span<const Poke> DecodeSession::pokes() const { return pokes_; }
BackendInfo DecodeSession::backend_info() const { return backend_->info(); }
int32_t DecodeSession::max_seq_len() const { return cache_->spec().max_seq_len; }

const Recorder& DecodeSession::recorder() const {
  LASTROW_CHECK(stack_->recorder != nullptr, "recorder() without SessionOptions::record");
  return *stack_->recorder;
}

const PokeReport& DecodeSession::poke_report(size_t i) const {
  LASTROW_CHECK(i < pokes_.size(), "poke {} of {}", i, pokes_.size());
  return reports_[i];
}

void DecodeSession::start(std::vector<int32_t> prompt) {
  if (prompt.empty()) throw UsageError("the prompt is empty: give at least one word");
  if (static_cast<int64_t>(prompt.size()) > max_seq_len())
    throw CapacityError("the prompt has {} tokens, the context {}: shorten the prompt", prompt.size(),
                        max_seq_len());
  for (const int32_t token : prompt)
    if (token < 0 || token >= model_->config().vocab_size)
      throw UsageError(
          "token {} is outside the vocabulary of {}: encode the prompt with the model's own tokenizer", token,
          model_->config().vocab_size);
  tokens_.assign(prompt.begin(), prompt.end());
  prompt_len_ = static_cast<int32_t>(prompt.size());
  step_ = next_token_ = -1;
  cache_->reset(0);
  pokes_.clear();
  reports_.clear();
  rows_are_there_ = true;
  stack_->poking.set_pokes({});
  if (stack_->recorder) stack_->recorder->clear();
}

void DecodeSession::take_step(int32_t forced) {
  LASTROW_CHECK(prompt_len_ > 0, "advance() before start()");
  if (step_ < 0) return run_through(0);
  if (context_full())
    throw CapacityError(
        "the context of {} tokens is full: what was generated is kept; start again with a shorter prompt",
        max_seq_len());
  const int32_t token = forced >= 0 ? forced : next_token_;
  if (token >= model_->config().vocab_size)
    throw UsageError("token {} is outside the vocabulary: choose 0 to {}", token,
                     model_->config().vocab_size - 1);
  const auto n_known = static_cast<size_t>(n_tokens_at(step_));
  if (tokens_.size() > n_known && tokens_[n_known] == token)  // the same way as before
    return run_through(step_ + 1);
  tokens_.resize(n_known);
  tokens_.push_back(token);
  forget_rows_from(step_ + 1);
  run_through(step_ + 1);
}

void DecodeSession::repeat_step(int32_t step) {
  if (prompt_len_ == 0 || step < 0 || step > last_step())
    throw UsageError("step {} has not been taken: choose 0 to {}, or advance()", step, last_step());
  run_through(step);
}

void DecodeSession::change_pokes(std::vector<Poke> pokes) {
  for (const Poke& poke : pokes) require_valid(poke);
  const int32_t first = first_step_changed(pokes_, pokes);
  save_rows_from(first);
  pokes_ = std::move(pokes);
  reports_.assign(pokes_.size(), {});
  stack_->poking.set_pokes(pokes_);
  forget_rows_from(first);
  if (step_ >= 0) run_through(step_);
}

int64_t DecodeSession::slot(int32_t index) const {
  if (index < 0 || index >= cache_->length(0))
    throw UsageError("index {} of a sequence that holds {}: choose one below that", index, cache_->length(0));
  return cache_->slot(0, index);
}

Tensor DecodeSession::stored_row(int32_t layer, RowKind kind, int32_t index) const {
  if (!rows_are_there_)
    throw UsageError(
        "the rows of step {} were overwritten by a call that failed: go_to({}) computes them again", step_,
        step_);
  const CacheSpec& spec = cache_->spec();
  Tensor row = Tensor::host(DType::f32, {1, spec.n_kv_heads, spec.head_dim});
  const int64_t at = slot(index);
  backend_->read_rows(*storage_, layer, kind, {&at, 1}, row.view());
  return row;
}

void DecodeSession::require_valid(const Poke& poke) const {
  const ModelConfig& c = model_->config();
  const int32_t n_heads = poke.what == Poke::What::q ? c.n_q_heads : c.n_kv_heads;
  if (poke.layer < 0 || poke.layer >= c.n_layers)
    throw UsageError("poke in layer {}: the model has layers 0 to {}", poke.layer, c.n_layers - 1);
  if (poke.head < -1 || poke.head >= n_heads)
    throw UsageError("poke of {} head {}: the model has heads 0 to {} there (−1: all)",
                     poke.what == Poke::What::q ? "query" : "K/V", poke.head, n_heads - 1);
  if (poke.position < 0 || poke.position >= static_cast<int32_t>(tokens_.size()))
    throw UsageError("poke of position {}: the text has positions 0 to {}", poke.position,
                     static_cast<int32_t>(tokens_.size()) - 1);
}

int32_t DecodeSession::first_step_changed_by(const Poke& poke) const {
  if (poke.when == Poke::When::now) return std::max(poke.step, 0);
  return std::max(0, poke.position - prompt_len_ + 1);  // the step that feeds this position
}

/// Rows that an old or a new poke touches are stale from the first step it changes.
int32_t DecodeSession::first_step_changed(const std::vector<Poke>& before,
                                          const std::vector<Poke>& after) const {
  int32_t first = last_step() + 1;
  const auto mark = [&](const std::vector<Poke>& these, const std::vector<Poke>& others) {
    for (const Poke& poke : these)
      if (std::find(others.begin(), others.end(), poke) == others.end())
        first = std::min(first, first_step_changed_by(poke));
  };
  mark(before, after);
  mark(after, before);
  return first;
}

/// Forgets the K and V rows that `step` and later ones have put into the cache.
void DecodeSession::forget_rows_from(int32_t step) {
  const int32_t kept = step <= 0 ? 0 : n_tokens_at(step - 1);
  if (cache_->length(0) > kept) cache_->truncate(0, kept);
}

void DecodeSession::stop_if_asked() const {
  if (options_.stop != nullptr && options_.stop->load()) throw Cancelled("cancelled: nothing has changed");
}

/// Runs `step`, and before it the steps whose rows the cache lacks. Without a cache there are none.
void DecodeSession::run_through(int32_t step) {
  stop_if_asked();
  int32_t first = step;
  if (options_.mode == Mode::cached)
    while (first > 0 && cache_->length(0) < n_tokens_at(first - 1)) --first;
  for (int32_t i = first; i <= step; ++i) run_step(i);
  step_ = step;
  std::swap(logits_, fresh_logits_);
  before_.chose = true;
  next_token_ = sampler_.choose(logits_, n_tokens_at(step));
  reports_.resize(pokes_.size());
  for (size_t i = 0; i < pokes_.size(); ++i) reports_[i] = stack_->poking.report(i);
  rows_are_there_ = true;
}

void DecodeSession::run_step(int32_t step) {
  before_.ran = true;
  const bool cached = options_.mode == Mode::cached;
  const int32_t n_past = cached && step > 0 ? n_tokens_at(step - 1) : 0;
  const auto input = std::span<const int32_t>(tokens_).subspan(
      static_cast<size_t>(n_past), static_cast<size_t>(n_tokens_at(step) - n_past));
  cache_->truncate(0, n_past);

  stack_->counting.reset();
  stack_->poking.set_step(step);
  if (stack_->recorder) stack_->recorder->set_step(step);
  const auto start = std::chrono::steady_clock::now();
  const SequenceInput sequence{0, input, LogitRows::last};
  const StepPlan& plan = cache_->plan({&sequence, 1});
  try {
    Backend& backend = stack_->top();
    const Batch& batch = backend.begin_step(plan, *storage_);
    const auto forward = [&] { decoder_.forward(backend, batch, *storage_, workspace_, options_.stop); };
    if (cached && step > 0)
      backend.replay(kDecode, forward);
    else  // of its length there may be no other
      forward();
    const TensorView logits = workspace_.logits.view().rows(0, plan.n_logit_rows());
    backend.download(logits, TensorView(fresh_logits_.data(), logits.shape()));
  } catch (...) {
    cache_->abort(plan);
    throw;
  }
  cache_->commit(plan);
  const std::chrono::duration<double, std::micro> wall = std::chrono::steady_clock::now() - start;

  const StepCounts& counts = stack_->counting.counts();
  const int64_t read = counts.cost.cache_bytes_read, written = counts.cost.cache_bytes_written;
  record_ = {.position = n_tokens_at(step) - 1,
             .phase = step == 0 ? Phase::prefill : Phase::decode,
             .q_len = static_cast<int32_t>(input.size()),
             .kv_len = n_tokens_at(step),
             .q_rows = counts.q_rows,
             .kv_rows_projected = counts.kv_rows_projected,
             .score_cells = counts.score_cells,
             .cache_bytes_read = cached ? read : 0,
             .cache_bytes_written = cached ? written : 0,
             .kv_scratch_bytes = cached ? 0 : read + written,
             .weight_bytes = counts.cost.weight_bytes,
             .flop = counts.cost.flop,
             .wall_us = wall.count()};
}

}  // namespace lastrow
