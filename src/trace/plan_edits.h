// What several faults read from a plan, or change in it.
#pragma once

#include "cache/slots.h"

namespace lastrow {

/// The rows that sequence i held before this step.
inline int32_t past_of(const StepPlan& plan, int32_t i) { return plan.kv_len[i] - plan.q_len(i); }

/// Whether the new tokens of sequence i follow stored rows: a decode, a later chunk, a second turn.
inline bool has_past(const StepPlan& plan, int32_t i) { return past_of(plan, i) > 0; }

/// Do not use it after the plan's arrays have changed their size.
inline BlockTable table_of(const StepPlan& plan, int32_t i) { return block_table(plan, i); }

/// The number of blocks that sequence i has in this step.
inline int32_t n_blocks_of(const StepPlan& plan, int32_t i) {
  const BlockTable table = table_of(plan, i);
  int32_t n = 0;
  while (n < table.n_blocks && table.blocks[n] >= 0) ++n;
  return n;
}

/// Gives the new tokens of sequence i the positions first, first + 1, …
inline void number_from(StepPlan& plan, int32_t i, int32_t first) {
  for (int32_t t = 0; t < plan.q_len(i); ++t) plan.positions[plan.q_start[i] + t] = first + t;
}

/// Takes the n oldest rows behind the sinks out of the table of sequence i, so that no query finds them. The new
/// rows stay: n ≤ past_of(plan, i) − plan.table_sinks.
void forget_oldest(StepPlan& plan, int32_t i, int32_t n);

}  // namespace lastrow
