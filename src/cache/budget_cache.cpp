#include "cache/budget_cache.h"

#include <algorithm>
#include <limits>

#include "cache/step_inputs.h"
#include "core/error.h"

namespace lastrow {

namespace {

void require_sensible(const CacheOptions& options) {
  if (options.budget < 1)
    throw UsageError("a budget of {} rows: give a cache of kind budget 1 row or more", options.budget);
  if (options.eviction != Eviction::sinks && options.sinks != 0)
    throw UsageError("{} sinks, but the policy does not keep them: use the policy sinks", options.sinks);
  if (options.sinks < 0 || options.sinks >= options.budget)
    throw UsageError("{} sinks in a budget of {} rows leave no row for new tokens: use 0 to {} sinks",
                     options.sinks, options.budget, options.budget - 1);
  if (options.window != 0)
    throw UsageError("a budget and a window of {}: use one of the two", options.window);
  if (options.share_prefix)
    throw UsageError("a cache with a budget cannot share prefixes: use a paged cache");
}

}  // namespace

CacheSpec budget_spec(const CacheOptions& options, const CacheSizes& sizes) {
  require_sensible(options);
  if (sizes.n_seqs < 1) throw ShapeError("n_seqs is {}: it must be at least 1", sizes.n_seqs);
  if (sizes.longest_step < 0)
    throw ShapeError("longest_step is {}: give the tokens of a step, or 0 for max_seq_len",
                     sizes.longest_step);
  CacheSpec spec = CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim, sizes.max_seq_len,
                                         sizes.n_seqs, options.dtypes());
  const int64_t longest_step = sizes.longest_step == 0 ? sizes.max_seq_len : sizes.longest_step;
  const int64_t held_rows = std::min<int64_t>(options.budget + longest_step, sizes.max_seq_len);
  if (held_rows * sizes.n_seqs > std::numeric_limits<int32_t>::max())
    throw ShapeError("{} sequences of {} rows are too many: lower the budget or the length of a step",
                     sizes.n_seqs, held_rows);
  spec.block_len = 1;
  spec.held_rows = static_cast<int32_t>(held_rows);
  spec.n_blocks = spec.held_rows * sizes.n_seqs;
  validate(spec);
  return spec;
}

BudgetCache::BudgetCache(const CacheOptions& options, const CacheSizes& sizes)
    : spec_(budget_spec(options, sizes)),
      rule_{options.eviction, options.budget, options.sinks, options.seed},
      lengths_(static_cast<size_t>(sizes.n_seqs), 0),
      n_seen_(static_cast<size_t>(sizes.n_seqs), 0),
      rows_(static_cast<size_t>(spec_.n_blocks)) {
  for (int32_t sequence = 0; sequence < n_seqs(); ++sequence) free_all(sequence);
  // Enough for the longest step of one sequence, or for one token of each sequence. Several prompts in one step
  // may need more; then the plan allocates.
  const int32_t most_tokens = std::max(spec_.held_rows, n_seqs());
  plan_.reserve(most_tokens, n_seqs(), spec_.max_blocks_per_seq());
  plan_.key_positions.reserve(rows_.size());
  evicted_.reserve(static_cast<size_t>(most_tokens));
}

int32_t BudgetCache::n_seen(int32_t sequence) const {
  LASTROW_CHECK(sequence >= 0 && sequence < n_seqs(), "sequence {} of {}", sequence, n_seqs());
  return n_seen_[sequence];
}

int32_t BudgetCache::length(int32_t sequence) const {
  LASTROW_CHECK(sequence >= 0 && sequence < n_seqs(), "sequence {} of {}", sequence, n_seqs());
  return lengths_[sequence];
}

std::span<HeldRow> BudgetCache::rows(int32_t sequence) {
  const auto n = static_cast<size_t>(spec_.held_rows);
  return std::span(rows_).subspan(static_cast<size_t>(sequence) * n, n);
}

std::span<const HeldRow> BudgetCache::held(int32_t sequence) const {
  return std::span(rows_).subspan(static_cast<size_t>(sequence) * static_cast<size_t>(spec_.held_rows),
                                  static_cast<size_t>(length(sequence)));
}

const HeldRow& BudgetCache::held_row(int32_t sequence, int32_t index) const {
  LASTROW_CHECK(index >= 0 && index < length(sequence), "index {} of {}", index, length(sequence));
  return held(sequence)[static_cast<size_t>(index)];
}

int64_t BudgetCache::slot(int32_t sequence, int32_t index) const { return held_row(sequence, index).slot; }

int32_t BudgetCache::position_of(int32_t sequence, int32_t index) const {
  return held_row(sequence, index).position;
}

double BudgetCache::mass_of(int32_t sequence, int32_t index) const { return held_row(sequence, index).mass; }

// ---- a step

void BudgetCache::require_room(std::span<const SequenceInput> inputs) const {
  for (const SequenceInput& input : inputs) {
    const int32_t length = lengths_[input.sequence], n_free = spec_.held_rows - length;
    if (static_cast<int64_t>(input.tokens.size()) > n_free)
      throw CapacityError(
          "a step of {} tokens for a sequence that holds {} rows in {} slots: feed at most {} at once, or "
          "raise CacheSizes::longest_step",
          input.tokens.size(), length, spec_.held_rows, n_free);
  }
}

/// Appends the block table and the positions of one sequence: held rows, then the new ones, in free slots.
void BudgetCache::lay_out_rows(const SequenceInput& input) {
  const int32_t length = lengths_[input.sequence], n_seen = n_seen_[input.sequence];
  const int32_t after = length + static_cast<int32_t>(input.tokens.size());
  int32_t index = 0;
  for (HeldRow& row : rows(input.sequence)) {
    row.step_mass = 0;
    plan_.block_tables.push_back(index < after ? row.slot : -1);
    plan_.key_positions.push_back(index < length  ? row.position
                                  : index < after ? n_seen + index - length
                                                  : -1);
    ++index;
  }
}

const StepPlan& BudgetCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(!planned_, "plan() again before commit() or abort()");
  require_valid(inputs, *this);
  require_room(inputs);
  size_t most_victims = 0;
  for (const SequenceInput& input : inputs) most_victims += input.tokens.size();
  evicted_.reserve(most_victims);  // so that commit cannot fail
  begin_packing(plan_, spec_);
  plan_.wants_mass = wants_mass();
  for (const SequenceInput& input : inputs) {
    lay_out_rows(input);
    pack(plan_, input, lengths_[input.sequence], n_seen_[input.sequence]);
  }
  planned_ = true;
  has_mass_ = false;
  return plan_;
}

void BudgetCache::add_mass(const StepPlan& plan, std::span<const float> mass) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "add_mass() of a plan that is not the current one");
  has_mass_ = true;
  if (!wants_mass()) return;
  const auto keys_per_seq = static_cast<size_t>(plan.keys_per_seq());
  LASTROW_CHECK(mass.size() == static_cast<size_t>(plan.n_seqs()) * keys_per_seq,
                "mass of {} elements for {}", mass.size(), static_cast<size_t>(plan.n_seqs()) * keys_per_seq);
  for (int32_t i = 0; i < plan.n_seqs(); ++i, mass = mass.subspan(keys_per_seq))
    for (size_t s = 0; s < static_cast<size_t>(plan.kv_len[i]); ++s)
      if (mass[s] > 0) rows(plan.sequences[i])[s].step_mass += mass[s];
}

void BudgetCache::commit(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "commit() of a plan that is not the current one");
  LASTROW_CHECK(has_mass_ || !wants_mass(), "commit() without add_mass()");
  evicted_.clear();
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const int32_t sequence = plan.sequences[i];
    const std::span<HeldRow> own = rows(sequence);
    for (int32_t s = 0; s < plan.kv_len[i]; ++s) {
      HeldRow& row = own[static_cast<size_t>(s)];
      const double mass_before = s < lengths_[sequence] ? row.mass : 0;
      row.position = plan.key_positions[int64_t{i} * plan.keys_per_seq() + s];
      row.mass = mass_before + double{row.step_mass};
    }
    n_seen_[sequence] += plan.q_len(i);
    lengths_[sequence] = plan.kv_len[i];
    while (lengths_[sequence] > rule_.budget) evict(sequence);
  }
  planned_ = false;
}

void BudgetCache::abort(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "abort() of a plan that is not the current one");
  planned_ = false;  // only commit changes rows, so there is nothing to undo
}

/// Forgets one row. Its slot becomes the first free one.
void BudgetCache::evict(int32_t sequence) {
  const int32_t n_before = n_seen_[sequence] - lengths_[sequence];
  const auto victim = static_cast<size_t>(rule_.victim(held(sequence), n_before));
  const HeldRow row = held(sequence)[victim];
  evicted_.push_back({sequence, row.position, row.slot, row.mass});
  ++n_evicted_;
  const std::span<HeldRow> behind =
      rows(sequence).first(static_cast<size_t>(lengths_[sequence])).subspan(victim);
  std::rotate(behind.begin(), behind.begin() + 1, behind.end());
  --lengths_[sequence];
}

// ---- between steps

void BudgetCache::free_all(int32_t sequence) {
  lengths_[sequence] = n_seen_[sequence] = 0;
  int32_t slot = sequence * spec_.held_rows;
  for (HeldRow& row : rows(sequence)) row = {.slot = slot++, .position = -1, .mass = 0, .step_mass = 0};
}

bool BudgetCache::can_truncate(int32_t sequence, int32_t n_tokens) const {
  if (n_tokens == 0 || n_tokens == n_seen(sequence)) return true;
  return !wants_mass() && n_seen(sequence) == length(sequence);
}

void BudgetCache::truncate(int32_t sequence, int32_t n_tokens) {
  LASTROW_CHECK(!planned_, "truncate() between plan() and commit() or abort()");
  LASTROW_CHECK(n_tokens >= 0 && n_tokens <= n_seen(sequence), "truncate to {} of {}", n_tokens,
                n_seen(sequence));
  if (!can_truncate(sequence, n_tokens))
    throw UsageError("a cache with a budget cannot go back from {} tokens to {}: go to 0 and feed them again",
                     n_seen(sequence), n_tokens);
  evicted_.clear();
  if (n_tokens == 0) return free_all(sequence);
  if (n_tokens < n_seen_[sequence]) lengths_[sequence] = n_seen_[sequence] = n_tokens;
}

void BudgetCache::fork(int32_t, int32_t) {
  throw UsageError("a cache with a budget cannot share rows between sequences: use a paged cache");
}

int32_t BudgetCache::adopt_prefix(int32_t sequence, std::span<const int32_t>) {
  LASTROW_CHECK(length(sequence) == 0, "adopt_prefix() of a sequence with {} rows", length(sequence));
  return 0;
}

CacheUsage BudgetCache::usage() const {
  CacheUsage usage;
  for (const int32_t length : lengths_) usage.blocks_used += length;
  usage.rows_held = usage.rows_stored = usage.rows_reserved = usage.blocks_used;
  usage.rows_evicted = n_evicted_;
  usage.blocks_free = spec_.n_blocks - usage.blocks_used;
  return usage;
}

void BudgetCache::copy_from(const KvCache& other) {
  const auto* same = dynamic_cast<const BudgetCache*>(&other);
  LASTROW_CHECK(same != nullptr && same->n_seqs() == n_seqs() &&
                    same->spec_.max_seq_len == spec_.max_seq_len &&
                    same->spec_.held_rows == spec_.held_rows && same->rule_ == rule_,
                "copy_from() a cache of another kind or size");
  LASTROW_CHECK(!planned_ && !same->planned_, "copy_from() between plan() and commit() or abort()");
  lengths_ = same->lengths_;
  n_seen_ = same->n_seen_;
  rows_ = same->rows_;
  n_evicted_ = same->n_evicted_;
  evicted_.clear();
}

}  // namespace lastrow
