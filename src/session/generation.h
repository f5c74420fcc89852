// What a BatchSession shows: its generations, and what its current step did for them.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/kv_cache.h"
#include "session/step_record.h"

namespace lastrow {

/// One generation, as it is at the current step.
struct Generation {
  enum class State : uint8_t { waiting, running, done };

  int32_t id = 0;
  int32_t parent = -1;           // the generation that it was forked from; −1: it was added
  State state = State::waiting;  // a branch is `waiting` at the steps before the fork
  std::vector<int32_t> prompt{};
  int32_t n_tokens = 0;           // tokens to choose
  uint64_t seed = 0;              // of its sampling
  std::vector<int32_t> tokens{};  // chosen so far; a branch begins with those of its parent
  std::vector<float> logits{};    // [vocab_size]  after the token that was fed last; empty: none yet
  int32_t sequence = -1;          // its number in the cache while it runs
  int32_t n_prefix = 0;           // prompt tokens whose rows were found in the cache, so they were not fed
  // The step that fed the prompt, or its first tokens. Of a branch: the last step before the fork
  int32_t joined_step = -1;
  int32_t left_step = -1;     // the step that chose its last token
  double queued_us = 0;       // from add() to the start of joined_step
  double first_token_us = 0;  // from the start of joined_step to its first token
};

/// What one step did for one generation. Counts are over all layers, as in StepRecord, and are computed from
/// the masks. Blocks that the step copied are counted in BatchStep::total only.
struct SequenceStep {
  int32_t generation = 0;
  Phase phase = Phase::decode;  // prefill: tokens of its prompt were fed
  bool leaves = false;          // its last token was chosen in this step
  int32_t position = 0;         // of its last token
  int32_t q_len = 0;            // tokens fed
  int32_t kv_len = 0;           // rows in each layer, as in StepRecord
  int64_t score_cells = 0;
  int64_t cache_bytes_read = 0;
  int64_t cache_bytes_written = 0;
};

struct BatchStep {
  int32_t step = 0;
  StepRecord total;  // position: the largest; q_len and kv_len: sums; phase: prefill if any
  std::vector<SequenceStep> sequences;  // in the order in which they are packed
  int32_t n_waiting = 0;                // generations that were still waiting
  CacheUsage usage;                     // before those that leave gave their rows back
};

}  // namespace lastrow
