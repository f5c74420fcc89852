// How the next tokens are chosen, in words.
#pragma once

#include <array>
#include <string>

namespace lastrow::view {

struct SamplingState {
  bool greedy = true;
  std::string text;       // "greedy" or "temperature 0.8 · seed 7"
  std::string bars_note;  // at which temperature the bars of the next tokens are: "at temperature 0.8"
  std::string tooltip;    // the same as a sentence
  std::array<int, 2> chosen = {0, 0};  // [Mode], the id of the token that each side chooses
};

}  // namespace lastrow::view
