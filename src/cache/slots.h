// The block table of one sequence of a step, and the slots of a range of its indices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cache/index.h"
#include "cache/step_plan.h"

namespace lastrow {

inline BlockTable block_table(const StepPlan& plan, int32_t sequence) {
  return {plan.block_tables.data() + int64_t{sequence} * plan.blocks_per_seq, plan.blocks_per_seq,
          plan.block_len, plan.table_sinks,
          plan.table_first.empty() ? 0 : plan.table_first[static_cast<size_t>(sequence)]};
}

/// The slots of the indices [begin, end), in ascending order of the indices.
inline std::vector<int64_t> slots_of(const StepPlan& plan, int32_t sequence, int32_t begin, int32_t end) {
  std::vector<int64_t> slots;
  slots.reserve(static_cast<size_t>(end > begin ? end - begin : 0));
  for (int32_t s = begin; s < end; ++s) slots.push_back(slot_of(block_table(plan, sequence), s));
  return slots;
}

}  // namespace lastrow
