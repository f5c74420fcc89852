// All that a call of a session changes, except the cache, its rows and the recorder. It can be copied as a
// whole, so a call that fails can put the old state back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "session/step_record.h"
#include "trace/poke.h"

namespace lastrow {

/// A step that was taken. It says where it ended, so no code computes a number of tokens from a step's number.
struct TakenStep {
  int32_t n_tokens;            // tokens of the text at the end of the step
  Phase phase;                 // prefill: its tokens were given
  int32_t last_position = -1;  // position of its last token; −1: it has not run yet
};

struct SessionState {
  int32_t prompt_len = 0;  // tokens given at the start; 0: not started
  int32_t n_loaded = 0;    // of these, the first ones, whose rows were loaded
  int32_t step = -1, next_token = -1;
  std::vector<int32_t> tokens;   // [the larger of prompt_len and the last step's n_tokens]
  std::vector<TakenStep> steps;  // [last_step + 1]
  std::vector<float> logits;     // [vocab_size]
  std::vector<Poke> pokes;
  std::vector<PokeReport> reports;  // one for each poke, for the current step
  StepRecord record;
  bool rows_are_stored = true;  // false: a call that failed has overwritten rows of the current step

  /// Forgets everything but the memory of the logits.
  void begin_text(std::span<const int32_t> prompt, int32_t n_loaded_rows) {
    prompt_len = static_cast<int32_t>(prompt.size());
    n_loaded = n_loaded_rows;
    step = next_token = -1;
    tokens.assign(prompt.begin(), prompt.end());
    steps.clear();
    pokes.clear();
    reports.clear();
    rows_are_stored = true;
  }
};

}  // namespace lastrow
