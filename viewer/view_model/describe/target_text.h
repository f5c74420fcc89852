// What a hovered or pinned place is: its title, and one line with its numbers.
#pragma once

#include <optional>
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

/// The position that RoPE or ALiBi took for a row of Q or K, if the cache uses new positions. None for other rows, and
/// if the side does not have the row.
std::optional<int> new_position_of(const Snapshot& snapshot, const Selection& at, const Target& target);
/// "3, which RoPE uses", or for a row that only an earlier pass read "3, in the last pass that read it".
std::string new_position_text(const Snapshot& snapshot, const Selection& at, const Target& target);
/// Whether the row of K that is shown is the one that this cell's query read (is_key_as_read).
bool shows_key_as_read(const Snapshot& snapshot, const Selection& at, const Target& cell);

}  // namespace lastrow::view
