// A token that may come next, and how likely it is.
#pragma once

#include <cstdint>
#include <vector>

namespace lastrow::train {

struct Choice {
  int32_t token;
  double probability;
};
/// At most a few dozen entries. Each token is in it at most once.
using Choices = std::vector<Choice>;

}  // namespace lastrow::train
