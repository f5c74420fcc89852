// One of the tokens that may come next, and how likely it is.
#pragma once

#include <cstdint>
#include <vector>

namespace lastrow::train {

struct Choice {
  int32_t token;
  double probability;
};
/// A few dozen entries at most; a token is in it once.
using Choices = std::vector<Choice>;

}  // namespace lastrow::train
