#include "trace/counting.h"

#include <string_view>

#include "ops/site.h"
#include "ops/stored_rows.h"

namespace lastrow {

StepCounts& StepCounts::operator+=(const StepCounts& o) {
  q_rows += o.q_rows;
  kv_rows_projected += o.kv_rows_projected;
  score_cells += o.score_cells;
  n_ops += o.n_ops;
  cost += o.cost;
  return *this;
}

/// While it exists, an operation is either only run or only counted.
class CountingBackend::InPass {
 public:
  InPass(CountingBackend& backend, Pass pass) : backend_(backend) { backend_.pass_ = pass; }
  ~InPass() { backend_.pass_ = Pass::whole; }
  InPass(const InPass&) = delete;
  InPass& operator=(const InPass&) = delete;

 private:
  CountingBackend& backend_;
};

// An operation is counted after it has run, because one that throws has done nothing.
void CountingBackend::count(const OpCost& cost) {
  counts_.cost += cost;
  ++counts_.n_ops;
}

// The inner backend may run a record and not call ops. So the counts come from a second call of ops, which
// only counts. A device is already working at that time.
void CountingBackend::replay(int64_t key, FunctionRef<void()> ops) {
  {
    const InPass run_only(*this, Pass::run_only);
    inner().replay(key, ops);
  }
  const InPass count_only(*this, Pass::count_only);
  ops();
}

void CountingBackend::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                                 std::span<const int64_t> slots, ConstTensorView host) {
  inner().write_rows(storage, layer, kind, slots, host);
  count(cost::write_rows(storage, kind, static_cast<int64_t>(slots.size()), host.dtype()));
}

void CountingBackend::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  inner().copy_blocks(storage, copies);
  count(cost::copy_blocks(storage, static_cast<int64_t>(copies.size())));
}

const Batch& CountingBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  const Batch& batch = inner().begin_step(plan, storage);
  if (!plan.block_copies.empty())
    count(cost::copy_blocks(storage, static_cast<int64_t>(plan.block_copies.size())));
  return batch;
}

void CountingBackend::run(const Op& op) {
  if (pass_ != Pass::count_only) inner().run(op);
  if (pass_ == Pass::run_only || std::holds_alternative<Probe>(op)) return;  // a probe costs nothing
  count(cost_of(op));
  if (const auto* attend = std::get_if<Attend>(&op)) counts_.score_cells += attend->score_cells();
  const std::string_view name = site_of(op).name;
  if (name == site::kQProj) counts_.q_rows += operands(op).reads[0].n_rows();
  if (name == site::kKProj) counts_.kv_rows_projected += operands(op).reads[0].n_rows();
}

}  // namespace lastrow
