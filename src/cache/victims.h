// Which row a cache with a budget forgets next. The four policies, as one function of the rows that are held.
//
//   const VictimRule rule{.eviction = Eviction::heavy, .budget = 8};
//   rows.erase(rule.victim(rows, n_evicted));          as often as there are more rows than the budget
//
//   policy    victim                                        source
//   oldest    the oldest row                                the control for sinks and heavy
//   sinks     the oldest row behind the first `sinks` rows  Xiao et al. 2023, "Efficient Streaming Language
//                                                           Models with Attention Sinks"
//   heavy     the row with the least mass that is not       Zhang et al. 2023, "H2O: Heavy-Hitter Oracle for
//             recent; of equal ones the oldest              Efficient Generative Inference of LLMs"
//   random    any row but the newest, all equally likely    the control
//
// The *mass* of a row is the attention that it got: Σ of its softmax weights over the queries since it was
// stored. A new row has had few queries, so its mass is small, and it would be forgotten at once. H2O therefore
// gives one half of the budget to heavy rows and the other half to recent ones, whatever attention those got.
// So do we: the newest n_recent() = budget − ⌊budget / 2⌋ rows are never victims of `heavy`.
// H2O chooses separately for each head and layer. Here all layers and heads share one block table, so the mass is
// summed over them. A choice per head is not modelled.
//
// The newest row is never a victim of any policy.
#pragma once

#include <cstdint>
#include <span>

#include "cache/make_cache.h"

namespace lastrow {

/// A row of a sequence.
struct HeldRow {
  int32_t slot;
  int32_t position;
  double mass;      // of the committed steps
  float step_mass;  // of the planned step
};

struct VictimRule {
  Eviction eviction = Eviction::oldest;
  int32_t budget = 1;
  int32_t sinks = 0;  // sinks only
  uint64_t seed = 0;  // random only

  int32_t n_recent() const { return budget - budget / 2; }
  /// The index of the row to forget. rows [> budget, and > 1] are in ascending order of position. n_evicted is
  /// the number of rows that the sequence forgot before: `random` draws the random number with this number. So
  /// the victims do not depend on the number of the sequence, and a repeated text has the same victims.
  int32_t victim(std::span<const HeldRow> rows, int32_t n_evicted) const;
  bool operator==(const VictimRule&) const = default;
};

}  // namespace lastrow
