// From a step's data to one pane: which rows are there at this beat, in which state, with which values.
#pragma once

#include <optional>

#include "viewer/view_model/commands.h"
#include "viewer/view_model/step_data.h"

namespace lastrow::view {

/// Where the user looks.
struct Selection {
  int layer = 0, head = 0;  // query head
  Beat beat = Beat::keep;
  std::optional<Target> hovered, pinned, asked;
};

/// Every row of the step, filled in for the end of `selection.beat`, with what it was before in `was`.
PaneState build_pane(const Scene& scene, Side side, const Selection& selection);

/// State of a row of Q, K or V at the end of a beat (a pure rule; the tests go through all of them).
///   fed  the row is one of this step's inputs
struct RowRule {
  Side side = Side::cached;
  Part part = Part::q;
  bool prefill = false, fed = false, last_row = false, last_layer = false;
};
State row_state(const RowRule& row, Beat beat);
/// What fades, and what is kept but not read yet; without the 40 % of again_unused.
float row_opacity(const RowRule& row, Beat beat);

/// "K/V head 1, shared by query heads 4–7".
std::string sharing_text(const ModelConfig& config, int kv_head);
/// "layer 3 (last)".
std::string layer_text(const ModelConfig& config, int layer);

}  // namespace lastrow::view
