// The arrays of one step in a backend's memory. begin_step makes them from a StepPlan; operations read them.
#pragma once

#include <cstdint>

#include "cache/slots.h"
#include "cache/step_plan.h"

namespace lastrow {

/// Valid until the next begin_step. The addresses never change, so that a device can replay a recorded step.
struct Batch {
  const StepPlan* plan;         // on the host: counts and lengths
  const int32_t* tokens;        // [n_tokens]
  const int32_t* positions;     // [n_tokens]                 StepPlan::effective_positions
  const int32_t* q_start;       // [n_seqs + 1]
  const int32_t* kv_len;        // [n_seqs]
  const int32_t* block_tables;  // [n_seqs, blocks_per_seq]
  const int64_t* append_slots;  // [n_tokens]
  const int32_t* logit_rows;    // [n_rows]
  // Only for caches that forget rows; else nullptr:
  const int32_t* table_first;    // [n_seqs]                  BlockTable::first
  const int32_t* key_positions;  // [n_seqs, keys_per_seq]    the position of index s: effective_key_positions
  // Only if K has scales for channels; else nullptr:
  const int32_t* open_blocks;  // [n_blocks]
  const int64_t* open_slots;   // [n_tokens]
  const int32_t* seals;        // [n_seals]
  // Only if the windowed layers have blocks of their own; else nullptr:
  const Batch* of_windowed;  // the arrays of their plan

  /// The batch whose blocks this layer uses. Append, RotateKeys, Attend, Probe and ScoreMass take it.
  const Batch& of_layer(int32_t layer) const { return plan->is_windowed(layer) ? *of_windowed : *this; }
};

/// The block table of sequence i, for a backend in host memory.
inline BlockTable block_table(const Batch& batch, int32_t i) { return block_table(*batch.plan, i); }

/// How far one query is from the keys of its sequence, in positions: distance(s). For host memory alone.
class KeyDistances {
 public:
  /// `token` is the packed token of the query, in sequence i.
  KeyDistances(const Batch& batch, int32_t i, int32_t token) {
    const StepPlan& plan = *batch.plan;
    query_ = plan.kv_len[i] - (plan.q_start[i + 1] - token);  // the index of the query is its position
    if (plan.effective_key_positions().empty()) return;
    query_ = plan.effective_positions()[token];
    positions_ = plan.effective_key_positions().data() + int64_t{i} * plan.keys_per_seq();
  }
  int32_t operator()(int32_t s) const {
    const int32_t distance = query_ - (positions_ == nullptr ? s : positions_[s]);
    return distance < 0 ? -distance : distance;
  }

 private:
  int32_t query_;
  const int32_t* positions_ = nullptr;  // [keys_per_seq] of the sequence; nullptr: the position of s is s
};

}  // namespace lastrow
