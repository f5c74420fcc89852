// Pokes: a decorator that scrambles or zeroes single rows of Q, K or V, to show which results depend on them.
//
//   PokingBackend poking(backend);
//   poking.set_pokes(pokes);      the pokes of the whole history; they stay until the next set_pokes
//   poking.set_step(3);           before each step: its number in the history, from 0
//   …the step through `poking`…
//   poking.report(i).reads        how often poke i's row was read in this step
//
// What a poke changes, and when:
//   q              In attend (and probe): the row of q at the poke's position, in a copy of q.
//                  `now`: only in step `step`. `since`: in each step that computes this row.
//   k, v `since`   In append: the changed row is stored, and stays in the storage. With the cache this is
//                  done once, in the step that computes the row; without the cache, in every step.
//   k, v `now`     In the attend (and probe) of step `step`: the stored row is overwritten before it and
//                  restored after it. The row may have been appended in this step or earlier. If the step rotates
//                  stored keys, K is overwritten while they are rotated, and the attend reads the rotated rows.
//
// Stored K has been rotated by RoPE, so a poke changes it after RoPE. But a cache that uses new positions stores
// K before RoPE, so there a poke changes the raw row.
//
// If a step packs several sequences, the poke changes each one that has the position (StepPlan::index_of),
// or only the one that Poke::sequence names. If none has it, the poke changes nothing and counts 0 reads. A
// slot that several sequences share is changed once. If a `now` poke names one of them, the others must not
// see the change. So begin_step gives that sequence a copy of the block for this step, in a spare block:
//   poking.set_spare_blocks(first, n);   blocks of the storage that the cache never uses
//   poking.set_step(3, names);           the names of the step's sequences; without: the cache's numbers
// A `since` poke changes the row in storage, so every sequence that shares the row reads the changed one.
//
// The noise depends only on (seed, layer, position, head, what). In each head it is scaled to the RMS of the
// row that it replaces. So both modes get the same noise.
//
// * Put it inside a CountingBackend and outside a TracingBackend. Then the trace shows the rows that were
//   really read.
// * Call attend only with the storage of the last begin_step.
//
// Restoring is exact for every stored type, because a decoded row encodes to the same bits (kv_codec.h).
// Without pokes it only forwards, and allocates nothing. A step is not replayed if it has a `now` poke or a
// `since` poke, because then there are rows to change or reads to count.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trace/forwarding.h"

namespace lastrow {

struct Poke {
  enum class What : uint8_t { q, k, v };
  enum class Action : uint8_t { scramble, zero };
  enum class When : uint8_t { now, since };

  What what = What::q;
  int32_t layer = 0;
  int32_t position = 0;
  int32_t head = -1;  // query head for q, K/V head for k and v; −1: all heads
  Action action = Action::scramble;
  uint64_t seed = 0;
  When when = When::now;
  int32_t step = 0;       // for `now`: the step at which it applies
  int32_t sequence = -1;  // the sequence that it changes, by its name in set_step; −1: each

  bool operator==(const Poke&) const = default;
};

/// What one poke did in the current step.
struct PokeReport {
  /// Rows replaced: of q, of the storage during an attend, or of k and v in an append. A row that several
  /// sequences share counts once.
  int32_t changed = 0;
  /// Queries of this step's attend that read the poked row: for q its own query, for k and v each query that
  /// sees it. With `since`, the row may have been changed in an earlier step. If the poke names a sequence,
  /// only queries of this sequence count.
  int32_t reads = 0;
};

class PokingBackend final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  /// Throws UsageError for a negative layer or position, or a head or sequence below −1. If the row does not
  /// have the head, the operation throws ShapeError. A poke of a layer that the model does not have does
  /// nothing.
  void set_pokes(std::span<const Poke> pokes);
  std::span<const Poke> pokes() const { return pokes_; }
  /// Sets the number of the next step, and empties the reports. names [n_seqs]: the number by which
  /// Poke::sequence names each sequence of the step; empty: StepPlan::sequences.
  void set_step(int32_t step, std::span<const int32_t> names = {});
  /// The blocks first … first + n − 1 of the storage are free for private copies. The cache must not use
  /// them.
  void set_spare_blocks(int32_t first, int32_t n);
  /// The report of pokes()[poke] for the current step.
  const PokeReport& report(size_t poke) const { return reports_[poke]; }
  int32_t reads(size_t poke) const { return reports_[poke].reads; }

  /// Throws UsageError if there are too few spare blocks.
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void replay(int64_t key, FunctionRef<void()> ops) override;
  void run(const Op& op) override;

 private:
  bool in_force(const Poke& poke) const;
  bool touches(const Poke& poke, int32_t layer) const;
  bool means(const Poke& poke, const StepPlan& plan, int32_t sequence) const;
  const StepPlan& with_private_blocks(const StepPlan& plan);
  ConstTensorView poked_rows(Poke::What what, int32_t layer, ConstTensorView rows, const StepPlan& plan,
                             Tensor& copy, bool count);
  void append(Append op);
  template <typename Looking>
  void with_poked_operands(Looking op, bool count);
  void rotate_poked_keys(const Op& op);
  class OverwrittenRows;
  void overwrite(OverwrittenRows& rows, Poke::What what, int32_t layer, const StepPlan& plan, bool count);
  void count_reads(const Attend& op);

  std::vector<Poke> pokes_;
  std::vector<PokeReport> reports_;  // one for each poke
  int32_t step_ = 0;
  std::vector<int32_t> names_;  // of the sequences of the step; empty: the cache's numbers
  int32_t first_spare_ = 0, n_spare_ = 0;
  StepPlan changed_plan_;            // the plan of a step in which a sequence has private copies of blocks
  KvStorage* storage_ = nullptr;     // the storage of the last begin_step
  const StepPlan* plan_ = nullptr;   // what the inner backend got in it
  Tensor q_copy_, k_copy_, v_copy_;  // in the inner backend's memory; made when needed
};

/// Replaces the row of one head, in double precision: row [head_dim], on the host. `original` [head_dim]
/// gives the scale of the noise. Public for tests and for other judges.
void apply_poke(const Poke& poke, int32_t head, std::span<const double> original, std::span<double> row);

}  // namespace lastrow
