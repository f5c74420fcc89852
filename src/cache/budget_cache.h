// A fixed number of rows for each sequence. When a step has added rows beyond the budget, the policy chooses
// victims (cache/victims.h), and the cache forgets them.
//
//   BudgetCache cache({.kind = "budget", .budget = 512, .eviction = Eviction::heavy}, sizes);
//
// How to call it, and what never to do, is in cache/kv_cache.h. With Eviction::heavy call add_mass in each step.
//
//   budget 3, oldest, steps of one token: each sequence has 3 + 1 slots
//                              index      0  1  2  3
//   three tokens are held      slot       0  1  2  .      position  0 1 2
//   plan of the fourth         slot       0  1  2  3      position  0 1 2 3     its query sees four keys
//   commit forgets the oldest  slot       1  2  3  .      position  1 2 3       slot 0 is free
//   plan of the fifth          slot       1  2  3  0      position  1 2 3 4     index 3 is in slot 0
//
// A step appends to free slots, and only commit forgets. So the queries of a step see the budget and the rows
// of the step, and abort has nothing to undo. A sequence therefore needs budget + longest_step slots, but never
// more than max_seq_len. Blocks have one slot, because the rows that stay have no order in storage.
//
// Positions are kept: the position of a row is the number of its token in the text, however many rows before
// it are gone, and the next position is n_seen. A cache that counts its rows instead turns the keys by wrong
// angles.
//
// What is forgotten depends on how the text is divided into steps: a prompt that is fed at once is seen whole by
// its own queries, and shrinks to the budget afterwards.
//
// truncate works to 0 and to n_seen. Nothing brings a forgotten row back. While a sequence has forgotten
// nothing, truncate works for every n_tokens, except with Eviction::heavy: the mass that the later queries gave
// cannot be taken back.
//
// Invariant: the first `length` entries of rows(sequence) are the held rows, in ascending order of position.
// The entries after them hold the free slots, which the next step uses in this order. truncate(sequence, 0)
// puts the slots back in the order of a new cache, so the same steps get the same slots again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/kv_cache.h"
#include "cache/make_cache.h"
#include "cache/victims.h"

namespace lastrow {

/// Blocks of one slot, min(budget + longest_step, max_seq_len) for each sequence. Throws UsageError if the
/// options make no sense, ShapeError for wrong sizes.
CacheSpec budget_spec(const CacheOptions& options, const CacheSizes& sizes);

class BudgetCache final : public KvCache {
 public:
  /// Throws as budget_spec does.
  BudgetCache(const CacheOptions& options, const CacheSizes& sizes);

  const CacheSpec& spec() const override { return spec_; }
  int32_t n_seqs() const override { return static_cast<int32_t>(lengths_.size()); }
  int32_t n_seen(int32_t sequence) const override;
  int32_t length(int32_t sequence) const override;
  int64_t slot(int32_t sequence, int32_t index) const override;
  int32_t position_of(int32_t sequence, int32_t index) const override;
  /// The attention that the row at an index got. 0 unless the policy goes by it.
  double mass_of(int32_t sequence, int32_t index) const;

  /// Throws CapacityError if a sequence feeds more tokens than it has free slots.
  const StepPlan& plan(std::span<const SequenceInput> inputs) override;
  /// Stops the program if the policy goes by mass and add_mass was not called.
  void commit(const StepPlan& plan) override;
  void abort(const StepPlan& plan) override;

  void truncate(int32_t sequence, int32_t n_tokens) override;
  bool can_truncate(int32_t sequence, int32_t n_tokens) const override;
  /// Always throws UsageError: two sequences would have to forget the same rows.
  void fork(int32_t from, int32_t to) override;
  /// Always 0.
  int32_t adopt_prefix(int32_t sequence, std::span<const int32_t> tokens) override;

  bool wants_mass() const override { return rule_.eviction == Eviction::heavy; }
  /// Elements that are NaN or negative count as 0.
  void add_mass(const StepPlan& plan, std::span<const float> mass) override;

  std::span<const EvictedRow> evicted() const override { return evicted_; }
  CacheUsage usage() const override;
  void copy_from(const KvCache& other) override;

 private:
  /// [held_rows]
  std::span<HeldRow> rows(int32_t sequence);
  std::span<const HeldRow> held(int32_t sequence) const;
  const HeldRow& held_row(int32_t sequence, int32_t index) const;
  void require_room(std::span<const SequenceInput> inputs) const;
  void lay_out_rows(const SequenceInput& input);
  void evict(int32_t sequence);
  void free_all(int32_t sequence);

  CacheSpec spec_;
  VictimRule rule_;
  std::vector<int32_t> lengths_, n_seen_;  // [n_seqs]
  std::vector<HeldRow> rows_;              // [n_seqs, held_rows]
  std::vector<EvictedRow> evicted_;        // by the last commit
  int64_t n_evicted_ = 0;
  StepPlan plan_;
  bool planned_ = false, has_mass_ = false;
};

}  // namespace lastrow
