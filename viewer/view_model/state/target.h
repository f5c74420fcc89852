// A place in one of the two panes: what the mouse points at, what is pinned, which row is poked.
#pragma once

#include <cstdint>

#include "session/step_record.h"

namespace lastrow::view {

enum class Part : uint8_t { none, q, k, v, score, weight, output, token };

/// "q", "k", "v", "score", "weight", "output", "token", "none"; scripts and JSON use the same words.
const char* name_of(Part part);
constexpr bool can_be_poked(Part part) { return part == Part::q || part == Part::k || part == Part::v; }

struct Target {
  Mode side = Mode::cached;  // the left pane; Mode::recompute: the right pane
  Part part = Part::none;
  int row = 0;      // t for q, score, weight and output; s for k and v; the position for token
  int column = -1;  // s of a score or weight cell; d within a value row; −1: the whole row
  bool operator==(const Target&) const = default;
};

}  // namespace lastrow::view
