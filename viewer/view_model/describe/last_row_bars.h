// The scores and the weights of the last row, which the pane draws as bars.
#pragma once

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/pane_state.h"

namespace lastrow::view {

/// window: the tokens that the pane shows.
LastRowBars last_row_bars(const Snapshot& snapshot, Mode side, const Selection& at,
                          const TokenWindow& window);

}  // namespace lastrow::view
