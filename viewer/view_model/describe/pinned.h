// What a pinned place shows beside its title and its line: products, provenance, reads.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/inspector.h"

namespace lastrow::view {

Pinned build_pinned(const Snapshot& snapshot, const Selection& at, const Target& target);

}  // namespace lastrow::view
