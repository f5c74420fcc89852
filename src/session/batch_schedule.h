// What the steps of a BatchSession fed, and to whom. It is enough to run them again.
//
// Invariant: a generation's `inputs` are its prompt and the tokens that its steps fed. At the last step
// there may be one more: the token that force() put in place of the chosen one.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "session/batch_session.h"

namespace lastrow {

struct BatchSession::Schedule {
  /// One generation in one step.
  struct Entry {
    int32_t generation, sequence;
    bool joins;
    int32_t n_prefix;  // prompt tokens that it found in the cache; 0 unless it joins
  };
  /// `child` takes the rows of `parent` right after the step.
  struct Fork {
    int32_t after_step, parent, child, sequence;
  };
  using Clock = std::chrono::steady_clock;

  int32_t n_steps() const { return static_cast<int32_t>(ends.size()); }
  std::span<const Entry> step(int32_t i) const {
    const size_t begin = i == 0 ? 0 : ends[static_cast<size_t>(i) - 1];
    return std::span(entries).subspan(begin, ends[static_cast<size_t>(i)] - begin);
  }
  /// Adds a generation that chooses n_tokens in at most n_steps steps, with room for them, so that no step allocates.
  void add(const std::vector<int32_t>& first_inputs, int32_t n_tokens, int32_t n_steps);

  std::vector<Entry> entries;                // of all steps
  std::vector<size_t> ends;                  // [n_steps]  where the entries of each step end
  std::vector<Fork> forks;                   // in the order of the calls
  std::vector<std::vector<int32_t>> inputs;  // [n_generations]
  std::vector<Clock::time_point> added;      // [n_generations]  when add() was called
  size_t n_most = 0;                         // entries that all generations together can need
};

}  // namespace lastrow
