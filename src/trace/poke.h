// Pokes: one row of Q, K or V scrambled or zeroed, to see who notices. A decorator that changes operands.
//
//   PokingBackend poking(backend);
//   poking.set_pokes(pokes);            the pokes of the history; kept until set again
//   poking.set_step(3);                 before each step: its index in the history, 0 is the prefill
//   …the step through `poking`…         poking.report(i).reads   how often poke i's row was read in it
//
// What is changed, and when:
//   q              where attend (and probe) reads it: the rows of q at the poke's position, in a private
//                  copy. `now`: in step `step` only. `since`: in every step that brings this row.
//   k, v `since`   where append stores it: the row goes into the store changed, in its own step with the
//                  cache, in every step without. The store holds the changed row from then on.
//   k, v `now`     around the attend (and probe) of step `step`: the stored row is overwritten just before
//                  and written back just after, so the store is afterwards what it was. It does not matter
//                  whether the row was appended in this step or long ago.
// A poke of a row that the step does not hold changes nothing and is read 0 times. Every packed sequence of
// the step that has the position is poked; StepPlan::index_of says where its row is stored.
//
// Noise is counter-based: its shape is a function of (seed, layer, position, head, what) alone, and it is
// scaled, head by head, to the RMS of the row that it replaces, so both modes get the same noise.
// * Put it inside a CountingBackend and outside a TracingBackend: the trace then shows what was read.
// * Storage passed to attend must be that of the last begin_step.
// * Restoring is exact for every type that a cache may store: a decoded row encodes to itself (kv_codec.h).
// Without pokes it forwards, allocates nothing and costs nothing. A step may be replayed unless a poke is of
// that step or `since`: those have rows to change or reads to count.
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
  int32_t head = -1;  // query head for q, K/V head for k and v; −1: all of them
  Action action = Action::scramble;
  uint64_t seed = 0;
  When when = When::now;
  int32_t step = 0;  // for `now`: the step at which it applies

  bool operator==(const Poke&) const = default;
};

/// What one poke did in the current step.
struct PokeReport {
  int32_t changed = 0;  // rows replaced: in q for an attend, in the store for an attend, or in an append
  int32_t reads = 0;    // query rows of this step's attend that read the poked row: itself for q, those that
                        // see it for k and v (`since`: also when it was changed in an earlier step)
};

class PokingBackend final : public WatchingBackend {
 public:
  using WatchingBackend::WatchingBackend;

  /// Throws UsageError for a negative layer or position, or a head below −1. A head that the row does not
  /// have throws ShapeError where it is met; a layer that the model does not have is never met.
  void set_pokes(std::span<const Poke> pokes);
  std::span<const Poke> pokes() const { return pokes_; }
  /// Names the step that the next begin_step opens, and empties the reports.
  void set_step(int32_t step);
  /// Of the current step, in the order of pokes().
  const PokeReport& report(size_t poke) const { return reports_[poke]; }
  int32_t reads(size_t poke) const { return reports_[poke].reads; }

  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void replay(int64_t key, FunctionRef<void()> ops) override;
  void run(const Op& op) override;

 private:
  bool in_force(const Poke& poke) const;
  bool touches(const Poke& poke, int32_t layer) const;
  ConstTensorView poked_rows(Poke::What what, int32_t layer, ConstTensorView rows, const StepPlan& plan,
                             Tensor& copy, bool count);
  void append(Append op);
  template <typename Looking>
  void with_poked_operands(Looking op, bool count);
  void count_reads(const Attend& op);

  std::vector<Poke> pokes_;
  std::vector<PokeReport> reports_;  // one a poke
  int32_t step_ = 0;
  KvStorage* storage_ = nullptr;     // of the last begin_step
  Tensor q_copy_, k_copy_, v_copy_;  // in the inner backend's memory; made when first needed
};

/// Replaces one head's row in place: the action at full precision. row [head_dim], a host array; `original`
/// is the row that gives the scale. Exposed for tests and for other judges.
void apply_poke(const Poke& poke, int32_t head, std::span<const double> original, std::span<double> row);

}  // namespace lastrow
