#include "cache/step_plan.h"

#include <algorithm>
#include <cstddef>

namespace lastrow {

std::optional<int32_t> StepPlan::index_of(int32_t i, int32_t position) const {
  if (q_len(i) == 0) return std::nullopt;
  if (!key_positions.empty()) {
    const auto first = key_positions.begin() + int64_t{i} * keys_per_seq(), last = first + kv_len[i];
    const auto found = std::find(first, last, position);
    if (found == last) return std::nullopt;
    return static_cast<int32_t>(found - first);
  }
  const int32_t last_position = positions[q_start[i + 1] - 1], last_index = kv_len[i] - 1;
  const int32_t index = last_index - (last_position - position);
  if (index < 0 || index > last_index) return std::nullopt;
  return index;
}

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
  table_first.clear();
  key_positions.clear();
  new_positions.clear();
  new_key_positions.clear();
  open_blocks.clear();
  open_slots.clear();
  seals.clear();
  window = window_sinks = table_sinks = 0;
  blocks_per_seq = block_len = 0;
  wants_mass = false;
  windowed_every = 0;
  of_windowed.clear();
}

void StepPlan::reserve(int32_t max_tokens, int32_t max_seqs, int32_t max_blocks_per_seq) {
  tokens.reserve(max_tokens);
  positions.reserve(max_tokens);
  q_start.reserve(max_seqs + 1);
  kv_len.reserve(max_seqs);
  block_tables.reserve(static_cast<size_t>(max_seqs) * static_cast<size_t>(max_blocks_per_seq));
  append_slots.reserve(max_tokens);
  block_copies.reserve(max_seqs);  // at most the last block of each sequence
  logit_rows.reserve(max_tokens);
  sequences.reserve(max_seqs);
}

}  // namespace lastrow
