#include "session/batch_schedule.h"

#include <algorithm>

namespace lastrow {

void BatchSession::Schedule::add(const std::vector<int32_t>& first_inputs, int32_t n_tokens,
                                 int32_t n_steps) {
  std::vector<int32_t> of_generation;
  of_generation.reserve(first_inputs.size() + static_cast<size_t>(n_tokens));
  of_generation.assign(first_inputs.begin(), first_inputs.end());
  // A step has at least one entry, so there are never more steps than entries.
  n_most += static_cast<size_t>(n_steps);
  if (n_most > entries.capacity()) {
    const size_t room = std::max(n_most, 2 * entries.capacity());
    entries.reserve(room);
    ends.reserve(room);
  }
  inputs.push_back(std::move(of_generation));
  added.push_back(Clock::now());
}

}  // namespace lastrow
