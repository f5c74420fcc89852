// The data of the sessions that a picture needs, at one moment. A snapshot never changes. It shares what its
// pointers point to with other snapshots.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "viewer/view_model/describe/cost_data.h"
#include "viewer/view_model/describe/held_rows.h"
#include "viewer/view_model/describe/step_data.h"

namespace lastrow::view {

/// What the attend of one layer read in one step: its queries, and which keys the mask let them read.
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

/// Of one step. Every layer reads like layer 0 or like layer 1: in some models only every n-th layer has a window
/// (ModelConfig::window_period).
using StepReads = std::array<AttendRead, 2>;
inline const AttendRead& read_in_layer(const StepReads& reads, const ModelConfig& config, int layer) {
  return reads[layer % config.window_period == 0 ? 0 : 1];
}

struct DescribedOnce;  // described_once.h

struct Snapshot {
  std::shared_ptr<const Setup> setup;
  std::shared_ptr<const StepData> now;       // with the active pokes
  std::shared_ptr<const StepData> unpoked;   // the same step without pokes; == now if nothing is poked
  std::shared_ptr<const StepData> previous;  // the step before, without pokes of `now`; null at prefill
  std::vector<int32_t> history;              // every token fed so far, later steps included
  int last_step = 0;
  bool context_full = false;
  std::array<std::vector<StepReads>, 2> reads;  // [Mode][step], steps 0 … now->step
  std::array<std::vector<StepCost>, 2> costs;   // [Mode][step], steps 0 … last_step
  // [step], what the cache forgot in steps 0 … now->step, in the layers that forget (forgets in forgetting.h)
  std::vector<std::vector<EvictedRow>> evicted;
  std::shared_ptr<const MachineRoof> roof;      // null until it is measured
  std::shared_ptr<const DescribedOnce> once{};  // may be null: use described(snapshot)
};

}  // namespace lastrow::view
