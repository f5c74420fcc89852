// What a hovered or pinned place is, in words and with its numbers.
#pragma once

#include <string>

#include "viewer/view_model/pane_builder.h"
#include "viewer/view_model/view_state.h"

namespace lastrow::view {

/// Clears what the target no longer has (a row beyond the step, a column beyond the head).
bool target_exists(const Scene& scene, const Target& target);
/// "k[3] · fox · layer 3 · K/V head 0".
std::string target_title(const Scene& scene, const Selection& at, const Target& target,
                         bool with_head = true);
/// One line of value and formula with the numbers in.
std::string target_line(const Scene& scene, const Selection& at, const Target& target);
Pinned pinned_content(const Scene& scene, const Selection& at, const Target& target);
Inspector build_inspector(const Scene& scene, const Selection& at);
Crosshair build_crosshair(const Scene& scene, const Selection& at);

/// "prefill", "decode 3": the step that fed this position.
std::string step_of_position(const World& world, int position);
/// How often the trace saw the row read so far: {"queries 3–7", 5}.
struct ReadCount {
  std::string readers;
  int times = 0;
};
ReadCount reads_of(const Scene& scene, Side side, Part part, int position);

}  // namespace lastrow::view
