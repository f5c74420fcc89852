// The data of the sessions that a picture needs, at one moment. A snapshot never changes. It shares what its
// pointers point to with other snapshots.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "viewer/view_model/describe/cost_data.h"
#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// One attend of the trace: its queries, and which keys its mask let them read. All layers read the same.
struct AttendRead {
  int q_len = 0, kv_len = 0;
  MaskRule mask;
};

struct DescribedOnce;  // described_once.h

struct Snapshot {
  std::shared_ptr<const Setup> setup;
  std::shared_ptr<const StepData> now;       // with the active pokes
  std::shared_ptr<const StepData> unpoked;   // the same step without pokes; == now if nothing is poked
  std::shared_ptr<const StepData> previous;  // the step before, without pokes of `now`; null at prefill
  std::vector<int32_t> history;              // every token fed so far, later steps included
  int last_step = 0;
  bool context_full = false;
  std::array<std::vector<AttendRead>, 2> reads;  // [Mode][step], steps 0 … now->step
  std::array<std::vector<StepCost>, 2> costs;    // [Mode][step], steps 0 … last_step
  std::shared_ptr<const MachineRoof> roof;       // null until it is measured
  std::shared_ptr<const DescribedOnce> once{};   // may be null: use described(snapshot)
};

}  // namespace lastrow::view
