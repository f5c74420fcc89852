// All that a call of a session changes, except the cache, its rows and the recorder. A transaction copies it, so
// that a call that fails can put the old state back.
//
//   backup.copy_from(state);        only what has changed since the last copy, so a long text costs no more
//
// Tokens and steps change only through functions of SessionState. Each of these remembers from where on the copy is
// stale.
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

class SessionState : public SessionValues {
 public:
  /// [the larger of prompt_len and the last step's n_tokens]
  const std::vector<int32_t>& tokens() const { return tokens_; }
  /// [last_step + 1]
  const std::vector<TakenStep>& steps() const { return steps_; }

  /// So that a text of n tokens allocates nothing.
  void reserve(size_t n) {
    tokens_.reserve(n);
    steps_.reserve(n);
  }
  /// Forgets everything but the memory of the logits.
  void begin_text(std::span<const int32_t> prompt, int32_t n_loaded_rows) {
    prompt_len = static_cast<int32_t>(prompt.size());
    n_loaded = n_loaded_rows;
    step = next_token = -1;
    changes_from(0, 0);
    tokens_.assign(prompt.begin(), prompt.end());
    steps_.clear();
    pokes.clear();
    reports.clear();
    rows_are_stored = true;
  }
  /// The step with this number feeds these tokens, behind the first n_known ones. Forgets the steps from it on, and
  /// their tokens if it ends behind the prompt. `fed` may be a part of the prompt in tokens(), at its place.
  void set_step(int32_t number, int32_t n_known, std::span<const int32_t> fed, Phase phase) {
    changes_from(static_cast<size_t>(n_known), static_cast<size_t>(number));
    const int32_t end = n_known + static_cast<int32_t>(fed.size());
    if (end > prompt_len) {
      tokens_.resize(static_cast<size_t>(n_known));
      tokens_.insert(tokens_.end(), fed.begin(), fed.end());
    }
    steps_.resize(static_cast<size_t>(number));
    steps_.push_back({.n_tokens = end, .phase = phase});
  }
  /// The step with this number has run.
  void set_last_position(int32_t number, int32_t position) {
    TakenStep& taken = steps_[static_cast<size_t>(number)];
    if (taken.last_position == position) return;
    changes_from(tokens_.size(), static_cast<size_t>(number));
    taken.last_position = position;
  }

  /// Becomes a copy of `state`. All copies of one state must go into the same object.
  void copy_from(SessionState& state) {
    static_cast<SessionValues&>(*this) = state;
    copy_rest(state.tokens_, state.n_copied_tokens_, tokens_);
    copy_rest(state.steps_, state.n_copied_steps_, steps_);
  }
  /// Takes the state back from its copy.
  void swap_back(SessionState& copy) {
    std::swap(*this, copy);
    n_copied_tokens_ = n_copied_steps_ = 0;  // `copy` now has what this state had
  }

 private:
  /// The tokens and steps from these indices on are about to change.
  void changes_from(size_t first_token, size_t first_step) {
    n_copied_tokens_ = std::min(n_copied_tokens_, first_token);
    n_copied_steps_ = std::min(n_copied_steps_, first_step);
  }
  template <typename T>
  static void copy_rest(const std::vector<T>& from, size_t& n_copied, std::vector<T>& to) {
    to.resize(n_copied);
    to.insert(to.end(), from.begin() + static_cast<std::ptrdiff_t>(n_copied), from.end());
    n_copied = from.size();
  }

  std::vector<int32_t> tokens_;
  std::vector<TakenStep> steps_;
  // The last copy has the same first tokens and steps.
  size_t n_copied_tokens_ = 0, n_copied_steps_ = 0;
};

}  // namespace lastrow
