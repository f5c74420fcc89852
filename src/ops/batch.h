// The arrays of one step in a backend's memory. begin_step makes them from a StepPlan; operations read them.
#pragma once

#include <cstdint>

#include "cache/index.h"
#include "cache/step_plan.h"

namespace lastrow {

/// Valid until the next begin_step. The addresses never change, so that a device can replay a recorded step.
struct Batch {
  const StepPlan* plan;         // on the host: counts and lengths
  const int32_t* tokens;        // [n_tokens]
  const int32_t* positions;     // [n_tokens]
  const int32_t* q_start;       // [n_seqs + 1]
  const int32_t* kv_len;        // [n_seqs]
  const int32_t* block_tables;  // [n_seqs, blocks_per_seq]
  const int64_t* append_slots;  // [n_tokens]
  const int32_t* logit_rows;    // [n_rows]
};

/// The block table of sequence i.
inline BlockTable block_table(const Batch& batch, int32_t i) {
  const StepPlan& plan = *batch.plan;
  return {batch.block_tables + int64_t{i} * plan.blocks_per_seq, plan.blocks_per_seq, plan.block_len};
}

}  // namespace lastrow
