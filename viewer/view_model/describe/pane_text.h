// The line at the top of a pane, and what the beat does on its side.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// "layer 3 (last) · head 0 · 1 query meets 8 keys"
std::string pane_subtitle(const Snapshot& snapshot, Mode side, const Selection& at);
/// "appends 1 K row and 1 V row"; at the end of a step also what the cache evicts.
std::string beat_note(const Snapshot& snapshot, Mode side, const Selection& at);

}  // namespace lastrow::view
