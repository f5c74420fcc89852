// Builds the overview of a long text. This reads every row of a head, so the result is kept until the step,
// the layer, the head or the beat changes.
//
//   OverviewCache cache;
//   pane.overview = cache.get(snapshot, Mode::cached, selection);
#pragma once

#include <array>
#include <memory>

#include "viewer/view_model/describe/selection.h"
#include "viewer/view_model/describe/snapshot.h"
#include "viewer/view_model/state/overview.h"

namespace lastrow::view {

Overview build_overview(const Snapshot& snapshot, Mode side, const Selection& at);

class OverviewCache {
 public:
  std::shared_ptr<const Overview> get(const Snapshot& snapshot, Mode side, const Selection& at);

 private:
  struct Entry {
    std::shared_ptr<const StepData> step;
    int layer = -1, head = -1;
    Beat beat = Beat::start;
    std::shared_ptr<const Overview> overview;
  };
  std::array<Entry, 2> entries_;  // [Mode]
};

}  // namespace lastrow::view
