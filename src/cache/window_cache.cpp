#include "cache/window_cache.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "cache/step_inputs.h"
#include "core/error.h"

namespace lastrow {

WindowRule window_rule(const CacheOptions& options, const CacheSizes& sizes) {
  if (options.window < 1)
    throw UsageError("a window cache without the number of its window: choose window:w=W");
  if (options.positions == Positions::renumbered) {
    if (sizes.longest_step > 1)
      throw UsageError(
          "a cache with positions=new takes 1 token of a sequence in a step, not {}: feed single tokens, or "
          "choose positions=kept",
          sizes.longest_step);
    return {options.window, options.sinks, 1, Positions::renumbered};
  }
  const int32_t longest = sizes.longest_step == 0 ? sizes.max_seq_len : sizes.longest_step;
  return {options.window, options.sinks, std::min(longest, sizes.max_seq_len)};
}

CacheSpec window_spec(const CacheOptions& options, const CacheSizes& sizes) {
  require_block_len(options, sizes);
  const WindowRule rule = window_rule(options, sizes);
  CacheSpec spec = CacheSpec::contiguous(sizes.n_layers, sizes.n_kv_heads, sizes.head_dim, sizes.max_seq_len,
                                         sizes.n_seqs, options.dtypes());
  spec.block_len = options.block_len;
  const int64_t ring_rows = std::min<int64_t>(int64_t{rule.window} + rule.longest_step - 1,
                                              int64_t{sizes.max_seq_len} - rule.sinks);
  const auto blocks_for = [&](int64_t rows) { return (rows + spec.block_len - 1) / spec.block_len; };
  const int64_t n_blocks = blocks_for(rule.sinks) + blocks_for(ring_rows);
  if (n_blocks * sizes.n_seqs > std::numeric_limits<int32_t>::max())
    throw ShapeError("{} sequences of {} blocks need {} blocks, which are too many: use larger blocks",
                     sizes.n_seqs, n_blocks, n_blocks * sizes.n_seqs);
  spec.n_blocks = static_cast<int32_t>(n_blocks) * sizes.n_seqs;
  spec.held_rows = rule.sinks + static_cast<int32_t>(ring_rows);
  spec.table_len = static_cast<int32_t>(n_blocks) + 1;
  return spec;
}

WindowCache::WindowCache(const CacheSpec& spec, int32_t n_seqs, WindowRule rule) : spec_(spec), rule_(rule) {
  validate(spec);
  const int64_t needed =
      std::min(int64_t{rule.window} + rule.longest_step - 1, int64_t{spec.max_seq_len} - rule.sinks);
  if (n_seqs < 1 || rule.window < 1 || rule.sinks < 0 || rule.longest_step < 1 || n_ring_blocks() < 1 ||
      int64_t{n_ring_blocks()} * spec.block_len < needed || spec.n_blocks != n_seqs * blocks_per_seq())
    throw ShapeError(
        "{} blocks of {} do not hold {} sequences with {} sinks and a ring of {} rows: make the spec with "
        "window_spec",
        spec.n_blocks, spec.block_len, n_seqs, rule.sinks, needed);
  seen_.assign(n_seqs, 0);
  blocks_.resize(spec.n_blocks);
  std::iota(blocks_.begin(), blocks_.end(), 0);
  // Enough for the longest step of one sequence, or for one token of each sequence. Several prompts in one
  // step may need more; then the plan allocates.
  plan_.reserve(std::max(rule.longest_step, n_seqs), n_seqs, spec.table_len);
  evicted_.reserve(std::max(rule.longest_step, n_seqs));
  plan_.table_first.reserve(n_seqs);
  const size_t n_keys =
      static_cast<size_t>(n_seqs) * static_cast<size_t>(spec.table_len) * static_cast<size_t>(spec.block_len);
  plan_.key_positions.reserve(n_keys);
  if (!uses_new_positions()) return;
  plan_.new_positions.reserve(n_seqs);
  plan_.new_key_positions.reserve(n_keys);
}

int32_t WindowCache::ring_begin(int32_t n) const { return std::max(rule_.sinks, n - (rule_.window - 1)); }

/// The rows that a sequence holds after n tokens, between steps.
int32_t WindowCache::rows_after(int32_t n) const {
  return n <= rule_.sinks ? n : rule_.sinks + n - ring_begin(n);
}

/// The position of index s of a sequence that had seen n tokens before the current step.
int32_t WindowCache::position_at(int32_t n, int32_t index) const {
  return index < rule_.sinks ? index : ring_begin(n) + index - rule_.sinks;
}

int32_t WindowCache::n_seen(int32_t sequence) const {
  LASTROW_CHECK(sequence >= 0 && sequence < n_seqs(), "sequence {} of {}", sequence, n_seqs());
  return seen_[sequence];
}

int32_t WindowCache::length(int32_t sequence) const { return rows_after(n_seen(sequence)); }

void WindowCache::require_held(int32_t sequence, int32_t index) const {
  LASTROW_CHECK(index >= 0 && index < length(sequence), "index {} of {}", index, length(sequence));
}

int32_t WindowCache::position_of(int32_t sequence, int32_t index) const {
  require_held(sequence, index);
  return position_at(seen_[sequence], index);
}

int64_t WindowCache::slot(int32_t sequence, int32_t index) const {
  return slot_at(sequence, position_of(sequence, index));
}

int64_t WindowCache::slot_at(int32_t sequence, int32_t position) const {
  // In the table of all its blocks in their own order, a row of the ring is where its position puts it.
  const BlockTable own{blocks_.data() + int64_t{sequence} * blocks_per_seq(), blocks_per_seq(),
                       spec_.block_len, rule_.sinks};
  if (position < rule_.sinks) return slot_of(own, position);
  return slot_of(own, rule_.sinks + (position - rule_.sinks) % (n_ring_blocks() * spec_.block_len));
}

/// Appends to the plan the block table of this input, where it begins, and the positions of its keys.
void WindowCache::lay_out_table(const SequenceInput& input) {
  const int32_t n = seen_[input.sequence], n_after = n + static_cast<int32_t>(input.tokens.size());
  const int32_t* own = blocks_.data() + int64_t{input.sequence} * blocks_per_seq();
  const int32_t block_len = spec_.block_len, n_sinks = std::min(n_after, rule_.sinks);
  for (int32_t b = 0; b < n_sink_blocks(); ++b)
    plan_.block_tables.push_back(b * block_len < n_sinks ? own[b] : -1);
  // The rows of the ring, counted from its first one in the text.
  const int32_t begin = ring_begin(n) - rule_.sinks, end = n_after - rule_.sinks;
  for (int32_t block = begin / block_len; block <= begin / block_len + n_ring_blocks(); ++block) {
    const bool has_rows = begin < end && block * block_len < end;
    plan_.block_tables.push_back(has_rows ? own[n_sink_blocks() + block % n_ring_blocks()] : -1);
  }
  plan_.table_first.push_back(begin % block_len);
  const int32_t kv_len = rows_after(n) + n_after - n;
  for (int32_t s = 0; s < plan_.keys_per_seq(); ++s)
    plan_.key_positions.push_back(s < kv_len ? position_at(n, s) : -1);
  if (!uses_new_positions()) return;
  for (int32_t s = 0; s < plan_.keys_per_seq(); ++s) plan_.new_key_positions.push_back(s < kv_len ? s : -1);
  if (!input.tokens.empty()) plan_.new_positions.push_back(kv_len - 1);
}

const StepPlan& WindowCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(!planned_, "plan() again before commit() or abort()");
  require_valid(inputs, *this);
  for (const SequenceInput& input : inputs)
    if (static_cast<int64_t>(input.tokens.size()) > rule_.longest_step)
      throw CapacityError(
          "a step of {} tokens, but the ring has room for {} at once: feed chunks of at most {}",
          input.tokens.size(), rule_.longest_step, rule_.longest_step);
  size_t most_victims = 0;  // a step forgets at most one row for each of its tokens
  for (const SequenceInput& input : inputs) most_victims += input.tokens.size();
  evicted_.reserve(most_victims);  // so that commit cannot fail
  begin_packing(plan_, spec_);
  plan_.window = rule_.window;
  plan_.window_sinks = plan_.table_sinks = rule_.sinks;
  for (const SequenceInput& input : inputs) {
    lay_out_table(input);
    pack(plan_, input, length(input.sequence), seen_[input.sequence]);
  }
  planned_ = true;
  return plan_;
}

void WindowCache::commit(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "commit() of a plan that is not the current one");
  evicted_.clear();
  for (int32_t i = 0; i < plan.n_seqs(); ++i) {
    const int32_t sequence = plan.sequences[i];
    int32_t& n = seen_[sequence];
    const int32_t first = ring_begin(n);
    n += plan.q_len(i);
    for (int32_t position = first; position < std::min(ring_begin(n), n); ++position)
      evicted_.push_back({sequence, position, slot_at(sequence, position)});
  }
  rows_evicted_ += std::ssize(evicted_);
  planned_ = false;
}

void WindowCache::abort(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "abort() of a plan that is not the current one");
  planned_ = false;  // the step wrote only to slots of rows that were forgotten before it
}

bool WindowCache::can_truncate(int32_t sequence, int32_t n_tokens) const {
  const int32_t begin = ring_begin(n_tokens);
  return begin >= n_tokens || begin >= ring_begin(n_seen(sequence));  // no row in the ring, or all of them
}

void WindowCache::truncate(int32_t sequence, int32_t n_tokens) {
  LASTROW_CHECK(!planned_, "truncate() between plan() and commit() or abort()");
  LASTROW_CHECK(n_tokens >= 0 && n_tokens <= n_seen(sequence), "truncate to {} of {}", n_tokens,
                n_seen(sequence));
  if (!can_truncate(sequence, n_tokens))
    throw UsageError(
        "sequence {} has seen {} tokens and cannot go back to {}: the rows of the positions {} to {} are "
        "forgotten; go back to 0 and feed the tokens again",
        sequence, seen_[sequence], n_tokens, ring_begin(n_tokens),
        std::min(ring_begin(seen_[sequence]), n_tokens) - 1);
  seen_[sequence] = n_tokens;
  evicted_.clear();
}

void WindowCache::fork(int32_t, int32_t) {
  throw UsageError("a window cache cannot share rows between sequences: use a paged cache");
}

int32_t WindowCache::adopt_prefix(int32_t sequence, std::span<const int32_t>) {
  LASTROW_CHECK(n_seen(sequence) == 0, "adopt_prefix() of a sequence with {} tokens", seen_[sequence]);
  return 0;
}

CacheUsage WindowCache::usage() const {
  CacheUsage usage;
  for (const int32_t n : seen_) {
    usage.rows_held += rows_after(n);
    if (n > 0) usage.blocks_used += blocks_per_seq();  // no other sequence can have them
  }
  usage.rows_stored = usage.rows_held;
  usage.rows_reserved = int64_t{usage.blocks_used} * spec_.block_len;
  usage.rows_evicted = rows_evicted_;
  usage.blocks_free = spec_.n_blocks - usage.blocks_used;
  return usage;
}

void WindowCache::copy_from(const KvCache& other) {
  const auto* same = dynamic_cast<const WindowCache*>(&other);
  LASTROW_CHECK(same != nullptr && same->n_seqs() == n_seqs() && same->rule_ == rule_ &&
                    same->spec_.max_seq_len == spec_.max_seq_len &&
                    same->spec_.block_len == spec_.block_len && same->spec_.n_blocks == spec_.n_blocks,
                "copy_from() a cache of another kind or size");
  LASTROW_CHECK(!planned_ && !same->planned_, "copy_from() between plan() and commit() or abort()");
  seen_ = same->seen_;
  rows_evicted_ = same->rows_evicted_;
  evicted_.clear();
}

}  // namespace lastrow
