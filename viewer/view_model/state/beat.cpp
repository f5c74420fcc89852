#include "viewer/view_model/state/beat.h"

namespace lastrow::view {

std::optional<Beat> beat_from_word(std::string_view word) {
  for (const BeatInfo& b : kBeatTable)
    if (word == b.word) return b.beat;
  return std::nullopt;
}

}  // namespace lastrow::view
