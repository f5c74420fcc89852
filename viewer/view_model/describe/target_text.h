// What a hovered or pinned place is: its title, and one line with its numbers.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// False for a row beyond the step or a column beyond the head; the functions below take only what exists.
bool target_exists(const Snapshot& snapshot, const Target& target);
/// "k[3] · fox · layer 3 · K/V head 0".
std::string target_title(const Snapshot& snapshot, const Selection& at, const Target& target,
                         bool with_head = true);
/// One line: value and formula with the numbers filled in.
std::string target_line(const Snapshot& snapshot, const Selection& at, const Target& target);

}  // namespace lastrow::view
