// Counts what a step costs while it runs: a decorator that adds up what each operation says it costs.
//
//   CountingBackend counting(backend);
//   counting.reset();   …a step through `counting`…   const StepCounts& n = counting.counts();
//
// Counted are calls, not measurements: the operands' shapes and types go into the same functions that the
// calculator uses. begin_step counts its block copies, attend the cells that its mask lets through. Looking
// (download, read_rows, probe) is free. A replayed step is counted all the same: its ops are called a second
// time, past the backend inside, for their shapes alone.
// * Put it outside a PokingBackend or TracingBackend, so that their own reads and writes are not counted.
// * It allocates nothing.
#pragma once

#include <cstdint>

#include "cost/op_cost.h"
#include "trace/forwarding.h"

namespace lastrow {

struct StepCounts {
  int64_t q_rows = 0;             // rows projected to queries, all layers (site "q_proj")
  int64_t kv_rows_projected = 0;  // rows projected to a key and a value, all layers (site "k_proj")
  int64_t score_cells = 0;        // scores that the mask lets through, all query heads of all layers
  int64_t n_ops = 0;              // operations called
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
