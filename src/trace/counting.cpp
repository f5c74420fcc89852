#include "trace/counting.h"

#include <string_view>

#include "backend/site_names.h"
#include "trace/call_cost.h"

namespace lastrow {

StepCounts& StepCounts::operator+=(const StepCounts& o) {
  q_rows += o.q_rows;
  kv_rows_projected += o.kv_rows_projected;
  score_cells += o.score_cells;
  n_ops += o.n_ops;
  cost += o.cost;
  return *this;
}

/// Operations called during its life do half of what they do otherwise.
class CountingBackend::InPass {
 public:
  InPass(CountingBackend& backend, Pass pass) : backend_(backend) { backend_.pass_ = pass; }
  ~InPass() { backend_.pass_ = Pass::whole; }
  InPass(const InPass&) = delete;
  InPass& operator=(const InPass&) = delete;

 private:
  CountingBackend& backend_;
};

// Each operation is counted after it has run: one that throws has done nothing.
void CountingBackend::count(const OpCost& cost) {
  counts_.cost += cost;
  ++counts_.n_ops;
}

// What runs may be a record that calls nothing here, so counts are taken apart from it; a device is at work
// meanwhile.
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
  count(call_cost::write_rows(storage, static_cast<int64_t>(slots.size()), host.dtype()));
}

void CountingBackend::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  inner().copy_blocks(storage, copies);
  count(call_cost::copy_blocks(storage, static_cast<int64_t>(copies.size())));
}

const Batch& CountingBackend::begin_step(const StepPlan& plan, KvStorage& storage) {
  const Batch& batch = inner().begin_step(plan, storage);
  if (!plan.block_copies.empty())
    count(call_cost::copy_blocks(storage, static_cast<int64_t>(plan.block_copies.size())));
  return batch;
}

void CountingBackend::embed(Site site, ConstTensorView table, const Batch& batch, TensorView out) {
  if (is_run()) inner().embed(site, table, batch, out);
  if (is_counted()) count(call_cost::embed(table, out));
}

void CountingBackend::rms_norm(Site site, ConstTensorView x, ConstTensorView weight, float eps,
                               TensorView out) {
  if (is_run()) inner().rms_norm(site, x, weight, eps, out);
  if (is_counted()) count(call_cost::rms_norm(x, weight));
}

void CountingBackend::linear(Site site, ConstTensorView x, ConstTensorView weight, ConstTensorView bias,
                             TensorView out) {
  if (is_run()) inner().linear(site, x, weight, bias, out);
  if (!is_counted()) return;
  count(call_cost::linear(x, weight, bias));
  const std::string_view name = site.name;
  if (name == site::kQProj) counts_.q_rows += x.n_rows();
  if (name == site::kKProj) counts_.kv_rows_projected += x.n_rows();
}

void CountingBackend::rope(Site site, const RopeTable& table, const Batch& batch, TensorView x) {
  if (is_run()) inner().rope(site, table, batch, x);
  if (is_counted()) count(call_cost::rope(x));
}

void CountingBackend::append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                             KvStorage& storage) {
  if (is_run()) inner().append(site, k, v, batch, storage);
  if (is_counted()) count(call_cost::append(k, storage));
}

void CountingBackend::attend(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                             const AttendSpec& spec, TensorView out, TensorView lse) {
  if (is_run()) inner().attend(site, q, storage, batch, spec, out, lse);
  if (!is_counted()) return;
  count(call_cost::attend(q, storage, *batch.plan, spec));
  counts_.score_cells += call_cost::visible_cells(*batch.plan, spec.mask) * q.dim(1);
}

void CountingBackend::probe(Site site, ConstTensorView q, const KvStorage& storage, const Batch& batch,
                            const AttendSpec& spec, ConstTensorView lse, const ProbeSelection& selection,
                            TensorView scores, TensorView probs, TensorView lse_distance) {
  if (is_run()) inner().probe(site, q, storage, batch, spec, lse, selection, scores, probs, lse_distance);
}

void CountingBackend::swiglu(Site site, ConstTensorView gate, ConstTensorView up, TensorView out) {
  if (is_run()) inner().swiglu(site, gate, up, out);
  if (is_counted()) count(call_cost::swiglu(gate));
}

void CountingBackend::add(Site site, ConstTensorView y, TensorView x) {
  if (is_run()) inner().add(site, y, x);
  if (is_counted()) count(call_cost::add(y));
}

void CountingBackend::gather_rows(Site site, ConstTensorView x, const Batch& batch, TensorView out) {
  if (is_run()) inner().gather_rows(site, x, batch, out);
  if (is_counted()) count(call_cost::gather_rows(out));
}

void CountingBackend::argmax(Site site, ConstTensorView logits, TensorView ids) {
  if (is_run()) inner().argmax(site, logits, ids);
  if (is_counted()) count(call_cost::argmax(logits));
}

}  // namespace lastrow
