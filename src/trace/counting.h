// Counts the cost of a step while it runs: a decorator that adds up the cost of each operation.
//
//   CountingBackend counting(backend);
//   counting.reset();
//   …a step through `counting`…
//   const StepCounts& n = counting.counts();
//
// It counts calls and measures nothing: the cost formulas of ops/ get the shapes and types of the operands.
//   counted        operations; the block copies of begin_step and copy_blocks; write_rows
//   not counted    download, read_rows and probe, because they only look
//   replay         counted: ops is called a second time, only for the shapes; this call runs nothing
//
// * Put it outside a PokingBackend or TracingBackend. Else their own reads and writes are counted too.
// * It allocates nothing.
#pragma once

#include <cstdint>

#include "cost/op_cost.h"
#include "trace/forwarding.h"

namespace lastrow {

struct StepCounts {
  int64_t q_rows = 0;             // rows projected to queries, all layers (site "q_proj")
  int64_t kv_rows_projected = 0;  // rows projected to keys and values, all layers (site "k_proj")
  int64_t score_cells = 0;        // scores that are not masked, all query heads of all layers
  int64_t n_ops = 0;              // calls counted
  OpCost cost;                    // flop and bytes by kind

  StepCounts& operator+=(const StepCounts& o);
  bool operator==(const StepCounts&) const = default;
};

class CountingBackend final : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  /// Everything since the last reset (or since the start).
  const StepCounts& counts() const { return counts_; }
  void reset() { counts_ = {}; }

  void write_rows(KvStorage& storage, int32_t layer, RowKind kind, std::span<const int64_t> slots,
                  ConstTensorView host) override;
  void copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) override;
  const Batch& begin_step(const StepPlan& plan, KvStorage& storage) override;
  void replay(int64_t key, FunctionRef<void()> ops) override;
  void run(const Op& op) override;

 private:
  enum class Pass : uint8_t { whole, run_only, count_only };
  class InPass;
  void count(const OpCost& cost);

  StepCounts counts_;
  Pass pass_ = Pass::whole;
};

}  // namespace lastrow
