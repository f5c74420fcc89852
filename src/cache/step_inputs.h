// What all policies do with the inputs of a step: refuse wrong ones, and pack the tokens of the others.
//
//   require_valid(inputs, cache);                             first; throws
//   begin_packing(plan, spec);
//   for each input:  append its block table to plan.block_tables, then pack(plan, input, length)
#pragma once

#include <cstdint>
#include <span>

#include "cache/kv_cache.h"

namespace lastrow {

/// Throws UsageError if a sequence is unknown or appears twice, CapacityError if it would become longer than
/// max_seq_len.
void require_valid(std::span<const SequenceInput> inputs, const KvCache& cache);

/// An empty plan for this cache, without allocating.
void begin_packing(StepPlan& plan, const CacheSpec& spec);

/// Appends everything of one input except its block table: tokens, positions, slots, logit rows, lengths. The
/// last blocks_per_seq entries of plan.block_tables are the table of this sequence. `length` is the number of
/// rows that it holds before the step, `n_seen` the number of tokens.
void pack(StepPlan& plan, const SequenceInput& input, int32_t length, int32_t n_seen);
/// The same for a policy that forgets nothing: index = position.
inline void pack(StepPlan& plan, const SequenceInput& input, int32_t length) {
  pack(plan, input, length, length);
}

}  // namespace lastrow
