// What a cache that forgets rows has forgotten, in words and with numbers from the run. The cache is that of the left
// side; use_text and price speak about either side. price is empty with a cache that forgets nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/target.h"

namespace lastrow::view {

/// Whether the cache forgets rows of a text that goes on: in some layer, or in this one. In a model in which only some
/// layers have a window, only these forget.
bool forgets(const Setup& setup);
bool forgets(const Setup& setup, int layer);

/// When the cache forgot the row of a position in this layer, and what it noted about it. None if it has not forgotten
/// the row, or if pokes of earlier steps may have changed what it forgot.
struct Forgotten {
  int step = 0;
  EvictedRow row;
};
std::optional<Forgotten> when_forgotten(const Snapshot& snapshot, int layer, int position);

/// The position of the row that was forgotten last in this slot of a layer, before this step. None if there was none.
std::optional<int> last_forgotten_in(const Snapshot& snapshot, int layer, int64_t slot);

/// Why the policy chose the row: "least attention, 1.9 in all". All: over layers, heads and queries.
std::string eviction_reason(const Setup& setup, const EvictedRow& row);
/// What the end of this step forgets in a layer: "row 3", "rows 0–2, 4"; only their number, "13 rows", if the list would
/// have more than most_bytes.
std::string evicted_rows(const Snapshot& snapshot, int layer, size_t most_bytes);
/// "evicts row 3: attention 1.9 in all", "evicts rows 0–2, 4".
std::string evicted_text(const Snapshot& snapshot, int layer);
/// "k[3] is not stored: the cache evicted it in decode 2 (the oldest), so no query reads it any more".
std::string not_stored_line(const Snapshot& snapshot, int layer, Part part, int position);

/// Who reads a row of K or V of a layer from now on: "used by this and every later row".
std::string use_text(const Snapshot& snapshot, Mode side, int layer, int position);

/// What the policy costs in this step, without pokes: how much weight the forgotten rows hold on the other side, and
/// by how much the logits differ, as far as the beat has come. One or two sentences for each pane.
std::string price(const Snapshot& snapshot, Mode side, const Selection& at);

}  // namespace lastrow::view
