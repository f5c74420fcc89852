// The sentence above the panes.
#pragma once

#include <string>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"

namespace lastrow::view {

/// What the beat just did on both sides, in one sentence.
std::string beat_sentence(const Snapshot& snapshot, const Selection& at);

}  // namespace lastrow::view
