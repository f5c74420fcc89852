#include "cache/contiguous_cache.h"

#include <algorithm>

#include "cache/step_inputs.h"
#include "core/error.h"

namespace lastrow {

ContiguousCache::ContiguousCache(const CacheSpec& spec, int32_t window, int32_t sinks)
    : spec_(spec), window_(window), sinks_(sinks) {
  validate(spec);
  if (spec.block_len != spec.max_seq_len)
    throw ShapeError(
        "a contiguous cache needs block_len {} == max_seq_len {}: make it with CacheSpec::contiguous",
        spec.block_len, spec.max_seq_len);
  lengths_.assign(spec.n_blocks, 0);
  // Enough for the longest prompt of one sequence, or for one token of each sequence. Several prompts in one
  // step may need more; then the plan allocates.
  plan_.reserve(std::max(spec.max_seq_len, spec.n_blocks), spec.n_blocks, 1);
}

int32_t ContiguousCache::length(int32_t sequence) const {
  LASTROW_CHECK(sequence >= 0 && sequence < spec_.n_blocks, "sequence {} of {}", sequence, spec_.n_blocks);
  return lengths_[sequence];
}

void ContiguousCache::require_held(int32_t sequence, int32_t index) const {
  LASTROW_CHECK(index >= 0 && index < length(sequence), "index {} of {}", index, length(sequence));
}

int64_t ContiguousCache::slot(int32_t sequence, int32_t index) const {
  require_held(sequence, index);
  return slot_of({&sequence, 1, spec_.block_len}, index);  // the block of a sequence has the same number
}

int32_t ContiguousCache::position_of(int32_t sequence, int32_t index) const {
  require_held(sequence, index);
  return index;
}

const StepPlan& ContiguousCache::plan(std::span<const SequenceInput> inputs) {
  LASTROW_CHECK(!planned_, "plan() again before commit() or abort()");
  require_valid(inputs, *this);
  begin_packing(plan_, spec_);
  plan_.window = window_;
  plan_.window_sinks = sinks_;
  for (const SequenceInput& input : inputs) {
    plan_.block_tables.push_back(input.sequence);  // the block of a sequence has the same number
    pack(plan_, input, lengths_[input.sequence]);
  }
  planned_ = true;
  return plan_;
}

void ContiguousCache::commit(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "commit() of a plan that is not the current one");
  for (int32_t i = 0; i < plan.n_seqs(); ++i) lengths_[plan.sequences[i]] = plan.kv_len[i];
  planned_ = false;
}

void ContiguousCache::abort(const StepPlan& plan) {
  LASTROW_CHECK(planned_ && &plan == &plan_, "abort() of a plan that is not the current one");
  planned_ = false;  // only commit changes lengths, so there is nothing to undo
}

void ContiguousCache::truncate(int32_t sequence, int32_t n_tokens) {
  LASTROW_CHECK(!planned_, "truncate() between plan() and commit() or abort()");
  LASTROW_CHECK(n_tokens >= 0 && n_tokens <= length(sequence), "truncate to {} of {}", n_tokens,
                length(sequence));
  lengths_[sequence] = n_tokens;
}

void ContiguousCache::fork(int32_t, int32_t) {
  throw UsageError("a contiguous cache cannot share rows between sequences: use a paged cache");
}

int32_t ContiguousCache::adopt_prefix(int32_t sequence, std::span<const int32_t>) {
  LASTROW_CHECK(length(sequence) == 0, "adopt_prefix() of a sequence with {} rows", length(sequence));
  return 0;
}

CacheUsage ContiguousCache::usage() const {
  CacheUsage usage;
  for (const int32_t length : lengths_) {
    usage.rows_held += length;
    usage.blocks_used += length > 0;
  }
  usage.rows_stored = usage.rows_held;
  usage.rows_reserved = int64_t{usage.blocks_used} * spec_.block_len;
  usage.blocks_free = spec_.n_blocks - usage.blocks_used;
  return usage;
}

void ContiguousCache::copy_from(const KvCache& other) {
  const auto* same = dynamic_cast<const ContiguousCache*>(&other);
  LASTROW_CHECK(same != nullptr && same->lengths_.size() == lengths_.size() &&
                    same->spec_.max_seq_len == spec_.max_seq_len && same->window_ == window_ &&
                    same->sinks_ == sinks_,
                "copy_from() a cache of another kind or size");
  LASTROW_CHECK(!planned_ && !same->planned_, "copy_from() between plan() and commit() or abort()");
  lengths_ = same->lengths_;
}

}  // namespace lastrow
