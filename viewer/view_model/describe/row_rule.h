// Which state a row is in at the end of a beat: a pure rule, tested for every case.
#pragma once

#include "viewer/view_model/state/beat.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

struct RowRule {
  Mode side = Mode::cached;
  Part part = Part::q;
  bool prefill = false;
  bool fed = false;  // the row is one of this step's inputs
  bool last_row = false;
  bool needed = true;    // without a cache: whether something later in the step reads the row (needed.h)
  bool stored = true;    // with the cache: whether it held the row of K and V when attention read it
  bool evicted = false;  // with the cache: it forgets the row when the step ends
  bool seen = true;      // of K and V: whether the query that decides sees the row
};

State row_state(const RowRule& row, Beat beat);
/// Below 1 if the row fades, or if it is kept but not read yet. Does not include the 40 % of again_unused.
float row_opacity(const RowRule& row, Beat beat);

}  // namespace lastrow::view
