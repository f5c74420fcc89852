// How often a row was read so far, from the trace.
#pragma once

#include <string>

#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/target.h"

namespace lastrow::view {

struct ReadCount {
  std::string readers;  // "queries 3–7", "query 3"; empty if nothing has read the row
  int times = 0;
};
/// In one layer. part: q, k or v.
ReadCount count_reads(const Snapshot& snapshot, Mode side, int layer, Part part, int position);

}  // namespace lastrow::view
