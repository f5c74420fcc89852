#include "backend/cpu_backend.h"

#include <algorithm>

namespace lastrow {

template <typename T>
Tensor CpuBackend<T>::make_tensor(Shape shape, std::optional<DType> dtype) {
  return Tensor(Memory::host(), dtype.value_or(dtype_of<T>), shape);
}

template <typename T>
Tensor CpuBackend<T>::upload(ConstTensorView host) {
  Tensor t = make_tensor(host.shape());
  convert(host, t.view());
  return t;
}

template <typename T>
void CpuBackend<T>::download(ConstTensorView from, TensorView host) {
  require_shape("download target", host.shape(), from.shape());
  convert(from, host);
}

template <typename T>
void CpuBackend<T>::write(ConstTensorView host, TensorView to) {
  require_shape("write source", host.shape(), to.shape());
  convert(host, to);
}

template <typename T>
std::unique_ptr<KvStorage> CpuBackend<T>::make_storage(const CacheSpec& spec) {
  validate(spec);
  if (spec.dtype != DType::f32)
    throw ShapeError("the {} backend stores K and V as f32, not {}: set CacheSpec::dtype to f32", info().name,
                     name_of(spec.dtype));
  return std::make_unique<KvStorage>(spec, Memory::host(), dtype_of<T>);
}

template <typename T>
void CpuBackend<T>::read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                              std::span<const int64_t> slots, TensorView host) {
  checks::rows(storage, layer, slots, host);
  const RowLayout layout = storage.spec().layout();
  const T* rows = storage.rows(layer, kind).template data<T>();
  for (size_t i = 0; i < slots.size(); ++i)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g)
      convert(
          ConstTensorView(rows + row_offset(layout, slots[i], g), Shape{layout.head_dim}),
          host.rows(static_cast<int64_t>(i), 1).reshaped({layout.n_kv_heads, layout.head_dim}).rows(g, 1));
}

template <typename T>
void CpuBackend<T>::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                               std::span<const int64_t> slots, ConstTensorView host) {
  checks::rows(storage, layer, slots, host);
  const RowLayout layout = storage.spec().layout();
  T* rows = storage.rows(layer, kind).template data<T>();
  for (size_t i = 0; i < slots.size(); ++i)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g)
      convert(host.rows(static_cast<int64_t>(i), 1).reshaped({layout.n_kv_heads, layout.head_dim}).rows(g, 1),
              TensorView(rows + row_offset(layout, slots[i], g), Shape{layout.head_dim}));
}

template <typename T>
void CpuBackend<T>::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  checks::copy_blocks(storage, copies);
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (RowKind kind : {RowKind::k, RowKind::v})
      for (const auto& [from, to] : copies)
        convert(storage.rows(layer, kind).rows(from, 1), storage.rows(layer, kind).rows(to, 1));
}

template <typename T>
const Batch& CpuBackend<T>::begin_step(const StepPlan& plan, KvStorage& storage) {
  checks::plan(plan, storage);
  this->copy_blocks(storage, plan.block_copies);
  batch_ = {&plan,
            plan.tokens.data(),
            plan.positions.data(),
            plan.q_start.data(),
            plan.kv_len.data(),
            plan.block_tables.data(),
            plan.append_slots.data(),
            plan.logit_rows.data()};
  return batch_;
}

template <typename T>
void CpuBackend<T>::replay(int64_t, FunctionRef<void()> ops) {
  ops();  // a processor has nothing to gain from a record
}

template <typename T>
void CpuBackend<T>::embed(Site, ConstTensorView table, const Batch& batch, TensorView out) {
  checks::embed(table, batch, out);
  const int64_t dim = table.dim(1);
  const T* rows = table.data<T>();
  T* o = out.data<T>();
  for (int64_t t = 0; t < out.dim(0); ++t) std::copy_n(rows + batch.tokens[t] * dim, dim, o + t * dim);
}

template <typename T>
void CpuBackend<T>::append(Site site, ConstTensorView k, ConstTensorView v, const Batch& batch,
                           KvStorage& storage) {
  checks::append(site, k, v, batch, storage);
  const RowLayout layout = storage.spec().layout();
  const auto put = [&](ConstTensorView rows, RowKind kind) {
    const T* source = rows.data<T>();  // [n_tokens, n_kv_heads, head_dim]
    T* target = storage.rows(site.layer, kind).template data<T>();
    for (int64_t t = 0; t < rows.dim(0); ++t)
      for (int32_t g = 0; g < layout.n_kv_heads; ++g, source += layout.head_dim)
        std::copy_n(source, layout.head_dim, target + row_offset(layout, batch.append_slots[t], g));
  };
  put(k, RowKind::k);
  put(v, RowKind::v);
}

template <typename T>
void CpuBackend<T>::gather_rows(Site, ConstTensorView x, const Batch& batch, TensorView out) {
  checks::gather_rows(x, batch, out);
  const int64_t dim = x.dim(1);
  const T* rows = x.data<T>();
  T* o = out.data<T>();
  for (int64_t i = 0; i < out.dim(0); ++i) std::copy_n(rows + batch.logit_rows[i] * dim, dim, o + i * dim);
}

template <typename T>
void CpuBackend<T>::argmax(Site, ConstTensorView logits, TensorView ids) {
  checks::argmax(logits, ids);
  const int64_t vocab_size = logits.dim(1);
  const T* row = logits.data<T>();
  int32_t* id = ids.data<int32_t>();
  for (int64_t i = 0; i < logits.dim(0); ++i, row += vocab_size)
    id[i] = static_cast<int32_t>(std::max_element(row, row + vocab_size) - row);
}

template class CpuBackend<float>;
template class CpuBackend<double>;

}  // namespace lastrow
