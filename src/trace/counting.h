// Counts what a step costs while it runs: a decorator that adds up each operation's formula (cost/op_cost.h).
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
  void embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) override;
  void rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps, TensorView out) override;
  void linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
              TensorView out) override;
  void rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) override;
  void append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
              KvStorage& storage) override;
  void attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
              const AttendSpec& spec, TensorView out, TensorView lse) override;
  void probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
             const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection, TensorView scores,
             TensorView probs, TensorView lse_distance) override;
  void swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) override;
  void add(Site site, ConstTensorView y, TensorView x) override;
  void gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) override;
  void argmax(Site site, ConstTensorView logits, TensorView ids) override;

 private:
  enum class Pass : uint8_t { whole, run_only, count_only };
  class InPass;
  bool is_run() const { return pass_ != Pass::count_only; }
  bool is_counted() const { return pass_ != Pass::run_only; }
  void count(const OpCost& cost);

  StepCounts counts_;
  Pass pass_ = Pass::whole;
};

}  // namespace lastrow
