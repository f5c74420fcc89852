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

/// What the attends of one step read: their queries, and which keys the mask let them read. It is that of layer 0;
/// the layers of a model with windows in some layers differ.
struct AttendRead {
  int q_len = 0, kv_len = 0;
  MaskRule mask;
  /// [kv_len] by index; the last q_len are those of the queries. Null if the cache has forgotten nothing: then
  /// positions are indices.
  std::shared_ptr<const std::vector<PlacedRow>> keys{};

  int index_at(int position) const {
    return keys ? index_of(*keys, position) : position < kv_len ? position : -1;
  }
  /// The position of query t.
  int position_of(int t) const {
    const int index = kv_len - q_len + t;
    return keys ? (*keys)[static_cast<size_t>(index)].position : index;
  }
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
  std::vector<std::vector<EvictedRow>> evicted;  // [step], what the cache forgot in steps 0 … now->step
  std::shared_ptr<const MachineRoof> roof;       // null until it is measured
  std::shared_ptr<const DescribedOnce> once{};   // may be null: use described(snapshot)
};

}  // namespace lastrow::view
