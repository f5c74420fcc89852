#include "cache/step_inputs.h"

#include "core/error.h"

namespace lastrow {

void require_valid(std::span<const SequenceInput> inputs, const KvCache& cache) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const int32_t sequence = inputs[i].sequence, max_seq_len = cache.spec().max_seq_len;
    if (sequence < 0 || sequence >= cache.n_seqs())
      throw UsageError("there is no sequence {}: the cache has {}, numbered from 0; raise n_seqs", sequence,
                       cache.n_seqs());
    for (size_t j = 0; j < i; ++j)
      if (inputs[j].sequence == sequence)
        throw UsageError("sequence {} appears twice in one step: give it one input", sequence);
    const int64_t new_length = cache.n_seen(sequence) + static_cast<int64_t>(inputs[i].tokens.size());
    if (new_length > max_seq_len)
      throw CapacityError("kv_len {} > max_seq_len {}: raise CacheSpec::max_seq_len or use a shorter text",
                          new_length, max_seq_len);
  }
}

void begin_packing(StepPlan& plan, const CacheSpec& spec) {
  plan.clear();
  plan.block_len = spec.block_len;
  plan.blocks_per_seq = spec.max_blocks_per_seq();
  plan.q_start.push_back(0);
}

void pack(StepPlan& plan, const SequenceInput& input, int32_t length, int32_t n_seen) {
  const int32_t* blocks = plan.block_tables.data() + plan.block_tables.size() - plan.blocks_per_seq;
  const BlockTable table{blocks, plan.blocks_per_seq, plan.block_len};
  int32_t index = length, position = n_seen;
  for (const int32_t token : input.tokens) {
    plan.tokens.push_back(token);
    plan.positions.push_back(position++);
    plan.append_slots.push_back(slot_of(table, index++));
    if (input.logits == LogitRows::all) plan.logit_rows.push_back(plan.n_tokens() - 1);
  }
  if (input.logits == LogitRows::last && !input.tokens.empty())
    plan.logit_rows.push_back(plan.n_tokens() - 1);
  plan.q_start.push_back(plan.n_tokens());
  plan.kv_len.push_back(index);
  plan.sequences.push_back(input.sequence);
}

}  // namespace lastrow
