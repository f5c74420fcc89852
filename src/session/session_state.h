// All that a call of a session changes, except the cache, its rows and the recorder. A transaction copies it, so
// that a call that fails can put the old state back.
//
//   backup.copy_from(state);              only what has changed since the last copy, so a long text costs no more
//   state.changes_from(token, step);      call it before each change of tokens or steps
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
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

/// What does not grow with the text.
struct SessionValues {
  int32_t prompt_len = 0;  // tokens given at the start; 0: not started
  int32_t n_loaded = 0;    // of these, the first ones, whose rows were loaded
  int32_t step = -1, next_token = -1;
  std::vector<float> logits;  // [vocab_size]
  std::vector<Poke> pokes;
  std::vector<PokeReport> reports;  // one for each poke, for the current step
  StepRecord record;
  bool rows_are_stored = true;  // false: a call that failed has overwritten rows of the current step
};

struct SessionState : SessionValues {
  std::vector<int32_t> tokens;   // [the larger of prompt_len and the last step's n_tokens]
  std::vector<TakenStep> steps;  // [last_step + 1]

  /// The tokens and steps from these indices on are about to change.
  void changes_from(size_t first_token, size_t first_step) {
    n_copied_tokens = std::min(n_copied_tokens, first_token);
    n_copied_steps = std::min(n_copied_steps, first_step);
  }
  /// Becomes a copy of `state`. All copies of one state must go into the same object.
  void copy_from(SessionState& state) {
    static_cast<SessionValues&>(*this) = state;
    copy_rest(state.tokens, state.n_copied_tokens, tokens);
    copy_rest(state.steps, state.n_copied_steps, steps);
  }
  /// Takes the state back from its copy.
  void swap_back(SessionState& copy) {
    std::swap(*this, copy);
    n_copied_tokens = n_copied_steps = 0;  // `copy` now has what this state had
  }

  /// Forgets everything but the memory of the logits.
  void begin_text(std::span<const int32_t> prompt, int32_t n_loaded_rows) {
    prompt_len = static_cast<int32_t>(prompt.size());
    n_loaded = n_loaded_rows;
    step = next_token = -1;
    changes_from(0, 0);
    tokens.assign(prompt.begin(), prompt.end());
    steps.clear();
    pokes.clear();
    reports.clear();
    rows_are_stored = true;
  }

 private:
  template <typename T>
  static void copy_rest(const std::vector<T>& from, size_t& n_copied, std::vector<T>& to) {
    to.resize(n_copied);
    to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(n_copied), from.end());
    n_copied = from.size();
  }

  // The last copy has the same first tokens and steps.
  size_t n_copied_tokens = 0, n_copied_steps = 0;
};

}  // namespace lastrow
