// Exercise 08: off by one.
//
// Task      This function plans the steps of a conversation. The prefill is right, and the generated text
//           looks good, but one line is wrong. Find it and correct it. It must also be right for a step with
//           several new tokens after cached ones.
// Lesson    11 (it explains the evidence that the checker shows); src/cache/step_plan.h
// Tests     a prefill and decode steps of a trained model, compared with a healthy run, operation by
//           operation; then steps of any number of tokens after any number of cached ones
//
//   lessons/check 08
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

StepPlan plan_step(std::span<const int32_t> tokens, int32_t n_cached, int32_t max_seq_len) {
  const auto n_tokens = static_cast<int32_t>(tokens.size());
  const int32_t n_new = n_tokens - n_cached;
  StepPlan plan;
  // Your turn: one of the lines below is wrong.
  const int32_t first = n_cached == 0 ? 0 : n_tokens;
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
