#include "session/batch_session.h"

#include <algorithm>
#include <limits>

#include "session/argument_checks.h"
#include "session/batch_steps.h"
#include "session/decorators.h"
#include "session/session_cache.h"

namespace lastrow {
namespace {

/// The options with the model's values in place of zeros. Throws if the model cannot have them.
BatchOptions completed(BatchOptions options, const ModelConfig& config) {
  if (options.max_seqs < 1) throw UsageError("max_seqs {}: choose 1 or more", options.max_seqs);
  options.cache = completed(options.cache, config);
  options.max_seq_len = longest_text(options.cache, options.max_seq_len, config);
  if (options.max_prompt_len == 0) options.max_prompt_len = options.max_seq_len;
  if (options.max_prompt_len < 1 || options.max_prompt_len > options.max_seq_len)
    throw CapacityError("max_prompt_len {} in texts of at most {} tokens: choose 1 to {}, or 0 for {}",
                        options.max_prompt_len, options.max_seq_len, options.max_seq_len,
                        options.max_seq_len);
  if (const int64_t chunk = chunk_of_prompts(options.cache, options.max_seq_len); chunk > 0) {
    const int64_t n_tokens = chunk * options.max_seqs;
    if (n_tokens > std::numeric_limits<int32_t>::max())
      throw UsageError(
          "{} sequences that feed {} tokens each in a step: choose smaller blocks or fewer sequences",
          options.max_seqs, chunk);
    options.max_step_tokens = static_cast<int32_t>(n_tokens);
  }
  if (options.max_step_tokens == 0) options.max_step_tokens = options.max_seq_len + options.max_seqs;
  if (options.max_step_tokens < options.max_seqs)
    throw UsageError("max_step_tokens {} is less than one token for each of {} sequences: raise it",
                     options.max_step_tokens, options.max_seqs);
  return options;
}

CacheSizes cache_sizes(const ModelConfig& config, const BatchOptions& options) {
  return {.n_layers = config.n_layers,
          .n_kv_heads = config.n_kv_heads,
          .head_dim = config.head_dim,
          .max_seq_len = options.max_seq_len,
          .n_seqs = options.max_seqs,
          .longest_step = chunk_of_prompts(options.cache, options.max_seq_len) > 0
                              ? chunk_of_prompts(options.cache, options.max_seq_len)
                              : std::min(options.max_prompt_len, options.max_step_tokens)};
}

bool can_need_private_block(const Poke& poke) {
  return poke.sequence >= 0 && poke.what != Poke::What::q && poke.when == Poke::When::now;
}

}  // namespace

BatchSession::BatchSession(std::shared_ptr<const Model> model, std::unique_ptr<Backend> backend,
                           BatchOptions options)
    : model_(std::move(model)),
      options_(completed(std::move(options), model_->config())),
      backend_(std::move(backend)),
      stack_(std::make_unique<Decorators>(*backend_, options_.record, options_.on_attend,
                                          options_.cache.dtypes())),
      decoder_(*model_, stack_->top()),
      workspace_(model_->config(), stack_->top(), options_.max_step_tokens, options_.max_seqs),
      sampler_(options_.sampling, model_->config().vocab_size),
      schedule_(std::make_unique<Schedule>()),
      steps_(std::make_unique<Steps>(*this)) {
  live_ = repeated(-1);
  if (cache().wants_mass())
    workspace_.make_mass(model_->config(), stack_->top(),
                         int64_t{options_.max_seqs} * cache().spec().max_kv_len());
  if (uses_new_positions(options_.cache) && model_->config().has_rope())
    workspace_.make_rotated_keys(cache().spec(), stack_->top());
}

BatchSession::~BatchSession() = default;

// ---- generations

int32_t BatchSession::add(std::vector<int32_t> prompt, int32_t n_tokens, std::optional<uint64_t> seed) {
  if (prompt.empty()) throw UsageError("the prompt is empty: give at least one token");
  if (n_tokens < 1) throw UsageError("a generation of {} tokens: ask for at least 1", n_tokens);
  require_in_vocabulary(prompt, model_->config());
  const CacheSpec& spec = cache().spec();
  const int64_t n_rows = static_cast<int64_t>(prompt.size()) + n_tokens - 1;
  if (n_rows > spec.max_seq_len)
    throw CapacityError(
        "a prompt of {} tokens and {} new ones need {} rows, but a sequence has room for {}: shorten one of "
        "them",
        prompt.size(), n_tokens, n_rows, spec.max_seq_len);
  if (prompt_chunk() == 0 && static_cast<int64_t>(prompt.size()) > options_.max_step_tokens)
    throw CapacityError("a prompt of {} tokens in steps of at most {}: shorten it, or raise max_step_tokens",
                        prompt.size(), options_.max_step_tokens);
  if (static_cast<int64_t>(prompt.size()) > options_.max_prompt_len)
    throw CapacityError(
        "a prompt of {} tokens, but prompts have at most {}: shorten it, or raise max_prompt_len",
        prompt.size(), options_.max_prompt_len);
  const int64_t n_blocks = most_blocks(spec, prompt.size(), n_tokens);
  if (n_blocks > spec.n_blocks)
    throw CapacityError(
        "a prompt of {} tokens and {} new ones need {} blocks of {} rows, but the cache has {}: shorten one "
        "of them, or give the cache more blocks",
        prompt.size(), n_tokens, n_blocks, spec.block_len, spec.n_blocks);

  const Generation g{.id = n_generations(),
                     .prompt = std::move(prompt),
                     .n_tokens = n_tokens,
                     .seed = seed.value_or(options_.sampling.seed)};
  const int32_t n_prompt = static_cast<int32_t>(g.prompt.size()), chunk = prompt_chunk();
  const int32_t n_prompt_steps = chunk == 0 ? 1 : (n_prompt + chunk - 1) / chunk;
  schedule_->add(g.prompt, n_tokens, n_prompt_steps + n_tokens - 1);
  live_->add_waiting(g);
  return g.id;
}

int32_t BatchSession::fork(int32_t id, std::optional<uint64_t> seed) {
  require_last_step("fork");
  const Generation& parent = running(id, "fork");
  const int32_t sequence = live_->free_sequence();
  if (sequence < 0)
    throw CapacityError("no sequence is free for a branch: all {} run, so raise max_seqs", options_.max_seqs);
  const int64_t n_blocks = most_blocks(cache().spec(), parent.prompt.size(), parent.n_tokens),
                n_left = Steps::blocks_left(*live_);
  if (n_blocks > n_left)
    throw CapacityError(
        "a branch of generation {} can need {} blocks, but only {} of {} are not promised to others: give "
        "the cache more blocks",
        id, n_blocks, n_left, cache().spec().n_blocks);
  live_->cache->fork(parent.sequence, sequence);  // throws if this kind of cache cannot share rows
  live_->cache->reset(sequence);

  Generation branch{.id = n_generations(),
                    .parent = id,
                    .prompt = parent.prompt,
                    .n_tokens = parent.n_tokens,
                    .seed = seed.value_or(parent.seed),
                    .queued_us = parent.queued_us,
                    .first_token_us = parent.first_token_us};
  schedule_->add(schedule_->inputs[static_cast<size_t>(id)], parent.n_tokens, parent.n_tokens);
  schedule_->forks.push_back({current_step(), id, branch.id, sequence});
  live_->add_waiting(branch);
  live_->fork(id, branch.id, sequence);
  return branch.id;
}

void BatchSession::force(int32_t id, int32_t token) {
  require_last_step("force");
  Generation& g = running(id, "force");
  require_in_vocabulary({&token, 1}, model_->config());
  if (g.tokens.empty())
    throw UsageError("force of generation {}, which still reads its prompt at step {}: advance() first", id,
                     current_step());
  std::vector<int32_t>& inputs = schedule_->inputs[static_cast<size_t>(id)];
  inputs.resize(g.prompt.size() + g.tokens.size() - 1);  // without an earlier forced token
  inputs.push_back(token);
  g.tokens.back() = token;
}

void BatchSession::require_last_step(const char* call) const {
  if (current_step() < last_step())
    throw UsageError("{} at step {}, but later steps are recorded: go_to({}) first", call, current_step(),
                     last_step());
}

Generation& BatchSession::running(int32_t id, const char* call) {
  if (generation(id).state != Generation::State::running)
    throw UsageError("{} of generation {}, which does not run at step {}: choose one that runs", call, id,
                     current_step());
  return live_->at(id);
}

// ---- steps

/// Runs a call that may throw. If it does, the recorder becomes what it was.
template <typename Call>
void BatchSession::change(Call call) {
  {
    const StopScope scope(options_.stop);
    stop_if_asked();
  }
  std::optional<Recorder::Transaction> recording;
  if (stack_->recorder) recording.emplace(*stack_->recorder);
  call();
  if (recording) recording->keep();
}

const BatchStep* BatchSession::advance() {
  const bool is_recorded = current_step() < last_step();
  if (!is_recorded && n_running() == 0 && n_waiting() == 0) return nullptr;
  change([&] {
    if (!is_recorded) return steps_->take(*live_);
    steps_->repeat(*live_);
    steps_->finish(*live_);
  });
  return &live_->record;
}

const BatchStep& BatchSession::go_to(int32_t step) {
  if (step < 0 || step > last_step())
    throw UsageError("step {} has not been taken: choose 0 to {}, or advance()", step, last_step());
  if (step == current_step() + 1) return *advance();
  if (step != current_step()) change([&] { live_ = repeated(step); });
  return live_->record;
}

void BatchSession::set_pokes(std::vector<Poke> pokes) {
  for (const Poke& poke : pokes) require_valid(poke);
  std::swap(pokes_, pokes);
  try {
    change([&] { live_ = repeated(current_step()); });
  } catch (...) {
    std::swap(pokes_, pokes);
    stack_->poking.set_pokes(pokes_);
    stack_->poking.set_spare_blocks(cache().spec().n_blocks, n_spare_blocks());
    throw;
  }
}

/// Runs the recorded steps 0 … step in new storage, under the current pokes.
std::unique_ptr<BatchSession::Live> BatchSession::repeated(int32_t step) {
  auto live = std::make_unique<Live>(options_.cache, cache_sizes(model_->config(), options_), *backend_,
                                     n_spare_blocks());
  live->vocab_size = model_->config().vocab_size;
  live->reports.resize(pokes_.size());
  stack_->poking.set_pokes(pokes_);
  stack_->poking.set_spare_blocks(live->cache->spec().n_blocks, n_spare_blocks());
  if (!live_) return live;
  for (const Generation& g : live_->generations) live->add_waiting(g);
  while (live->step < step) steps_->repeat(*live);
  steps_->finish(*live);
  return live;
}

int32_t BatchSession::prompt_chunk() const { return chunk_of_prompts(options_.cache, options_.max_seq_len); }

int32_t BatchSession::n_spare_blocks() const {
  if (prompt_chunk() > 0) return 0;  // such caches share no block
  return static_cast<int32_t>(std::ranges::count_if(pokes_, can_need_private_block));
}

void BatchSession::require_valid(const Poke& poke) const {
  require_in_model(poke, model_->config());
  size_t n_tokens = 0;
  if (poke.sequence >= 0) {
    const Generation& g = generation(poke.sequence);
    n_tokens = schedule_->inputs[static_cast<size_t>(g.id)].size();
    if (poke.when == Poke::When::since && poke.position < g.n_prefix)
      throw UsageError(
          "poke of position {} of generation {}: its first {} rows were computed by another generation, so "
          "poke that one, or each (−1)",
          poke.position, g.id, g.n_prefix);
  } else {
    for (const auto& inputs : schedule_->inputs) n_tokens = std::max(n_tokens, inputs.size());
  }
  if (poke.position < 0 || poke.position >= static_cast<int64_t>(n_tokens))
    throw UsageError("poke of position {}: there are {} tokens, counted from 0", poke.position, n_tokens);
}

// ---- what it shows

BackendInfo BatchSession::backend_info() const { return backend_->info(); }
int32_t BatchSession::max_seq_len() const { return options_.max_seq_len; }
int32_t BatchSession::current_step() const { return live_->step; }
int32_t BatchSession::last_step() const { return schedule_->n_steps() - 1; }
int32_t BatchSession::n_generations() const { return static_cast<int32_t>(live_->generations.size()); }
int32_t BatchSession::n_waiting() const { return live_->n_waiting; }
int32_t BatchSession::n_running() const { return static_cast<int32_t>(live_->running.size()); }
const KvCache& BatchSession::cache() const { return *live_->cache; }
int64_t BatchSession::storage_bytes() const { return live_->storage->bytes(); }
int64_t BatchSession::token_bytes() const { return live_->storage->token_bytes(); }

const BatchStep& BatchSession::step() const {
  LASTROW_CHECK(current_step() >= 0, "step() before advance()");
  return live_->record;
}

const Generation& BatchSession::generation(int32_t id) const {
  if (id < 0 || id >= n_generations())
    throw UsageError("there is no generation {}: there are {}, counted from 0", id, n_generations());
  return live_->at(id);
}

const PokeReport& BatchSession::poke_report(size_t i) const {
  LASTROW_CHECK(i < live_->reports.size(), "poke {} of {}", i, live_->reports.size());
  return live_->reports[i];
}

const Recorder& BatchSession::recorder() const {
  LASTROW_CHECK(stack_->recorder != nullptr, "recorder() without BatchOptions::record");
  return *stack_->recorder;
}

Tensor BatchSession::stored_row(int32_t id, int32_t layer, RowKind kind, int32_t index) const {
  const Generation& g = generation(id);
  const KvCache& own = cache().of_layer(layer);
  const int32_t n_rows = g.sequence < 0 ? 0 : own.length(g.sequence);
  if (index < 0 || index >= n_rows)
    throw UsageError("generation {} holds {} rows at step {}, so there is no index {}", id, n_rows,
                     current_step(), index);
  const int64_t slot = own.slot(g.sequence, index);
  Tensor row = Tensor::host(DType::f32, {1, cache().spec().n_kv_heads, cache().spec().head_dim});
  backend_->read_rows(*live_->storage, layer, kind, {&slot, 1}, row.view());
  return row;
}

}  // namespace lastrow
