#include "cache/step_plan.h"

#include <cstddef>

namespace lastrow {

void StepPlan::clear() {
  tokens.clear();
  positions.clear();
  q_start.clear();
  kv_len.clear();
  block_tables.clear();
  append_slots.clear();
  block_copies.clear();
  logit_rows.clear();
  sequences.clear();
  blocks_per_seq = block_len = 0;
}

void StepPlan::reserve(int32_t max_tokens, int32_t max_seqs, int32_t max_blocks_per_seq) {
  tokens.reserve(max_tokens);
  positions.reserve(max_tokens);
  q_start.reserve(max_seqs + 1);
  kv_len.reserve(max_seqs);
  block_tables.reserve(static_cast<size_t>(max_seqs) * static_cast<size_t>(max_blocks_per_seq));
  append_slots.reserve(max_tokens);
  logit_rows.reserve(max_tokens);
  sequences.reserve(max_seqs);
}

}  // namespace lastrow
