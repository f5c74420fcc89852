#include "trace/call_cost.h"

namespace lastrow::call_cost {
namespace {

int64_t elem_bytes(DType dtype) { return static_cast<int64_t>(size_of(dtype)); }
int64_t stored_bytes(const KvStorage& storage) { return elem_bytes(storage.rows(0, RowKind::k).dtype()); }
int64_t scale_bytes(const KvStorage& storage) { return storage.scales(0, RowKind::k).empty() ? 0 : 4; }

}  // namespace

OpCost embed(ConstTensorView table, TensorView out) {
  return cost::embed(out.n_rows(), out.row_size(), elem_bytes(table.dtype()), elem_bytes(out.dtype()));
}

OpCost rms_norm(ConstTensorView x, ConstTensorView weight) {
  return cost::rms_norm(x.n_rows(), x.row_size(), elem_bytes(weight.dtype()), elem_bytes(x.dtype()));
}

OpCost linear(ConstTensorView x, ConstTensorView weight, ConstTensorView bias) {
  return cost::linear(x.n_rows(), x.row_size(), weight.n_rows(), !bias.empty(), elem_bytes(weight.dtype()),
                      elem_bytes(x.dtype()));
}

OpCost rope(TensorView x) { return cost::rope(x.dim(0), x.dim(1), x.dim(2), elem_bytes(x.dtype())); }

OpCost append(ConstTensorView k, const KvStorage& storage) {
  return cost::append(k.dim(0), k.dim(1), k.dim(2), stored_bytes(storage), elem_bytes(k.dtype()),
                      scale_bytes(storage));
}

int64_t visible_cells(const StepPlan& plan, MaskRule mask) {
  int64_t cells = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    cells += cost::visible_cells(plan.q_len(i), plan.kv_len[i], mask.causal, mask.window);
  return cells;
}

OpCost attend(ConstTensorView q, const KvStorage& storage, const StepPlan& plan, const AttendSpec& spec) {
  int64_t kv_rows = 0;
  for (int32_t i = 0; i < plan.n_seqs(); ++i)
    kv_rows += cost::visible_rows(plan.q_len(i), plan.kv_len[i], spec.mask.causal, spec.mask.window);
  return cost::attend({.visible_cells = visible_cells(plan, spec.mask),
                       .kv_rows = kv_rows,
                       .n_tokens = q.dim(0),
                       .n_q_heads = q.dim(1),
                       .n_kv_heads = storage.spec().n_kv_heads,
                       .head_dim = q.dim(2),
                       .cache_elem_bytes = stored_bytes(storage),
                       .activation_elem_bytes = elem_bytes(q.dtype()),
                       .cache_scale_bytes = scale_bytes(storage)});
}

OpCost swiglu(ConstTensorView gate) {
  return cost::swiglu(gate.n_rows(), gate.row_size(), elem_bytes(gate.dtype()));
}

OpCost add(ConstTensorView y) { return cost::add(y.n_rows(), y.row_size(), elem_bytes(y.dtype())); }

OpCost gather_rows(TensorView out) {
  return cost::gather_rows(out.n_rows(), out.row_size(), elem_bytes(out.dtype()));
}

OpCost argmax(ConstTensorView logits) {
  return cost::argmax(logits.n_rows(), logits.row_size(), elem_bytes(logits.dtype()));
}

OpCost write_rows(const KvStorage& storage, int64_t n_rows, DType from) {
  const CacheSpec& spec = storage.spec();
  return cost::write_rows(n_rows, spec.n_kv_heads, spec.head_dim, stored_bytes(storage), elem_bytes(from),
                          scale_bytes(storage));
}

OpCost copy_blocks(const KvStorage& storage, int64_t n_blocks) {
  const CacheSpec& spec = storage.spec();
  return cost::copy_blocks(n_blocks, spec.block_len, spec.n_layers, spec.n_kv_heads, spec.head_dim,
                           stored_bytes(storage), scale_bytes(storage));
}

}  // namespace lastrow::call_cost
