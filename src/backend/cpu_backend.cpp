#include "backend/cpu_backend.h"

#include <algorithm>
#include <type_traits>

#include "backend/kv_rows.h"
#include "core/conversions.h"

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
  const auto stored = [](DType dtype) { return dtype == DType::f32 ? dtype_of<T> : dtype; };
  return std::make_unique<KvStorage>(spec, Memory::host(),
                                     KvDtypes(stored(spec.dtype_k), stored(spec.dtype_v)));
}

/// Encodes row [head_dim] into its slot. A double is first rounded to an odd float. Two ordinary roundings,
/// to float and then to the stored type, could give another result than one rounding.
template <typename T>
template <typename U>
void CpuBackend<T>::encode(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                           const U* row) {
  if constexpr (std::is_same_v<U, float>) {
    encode_row_at(storage, layer, kind, slot, g, row);
  } else {
    const auto head_dim = static_cast<size_t>(storage.spec().head_dim);
    row_.resize(head_dim);
    std::transform(row, row + head_dim, row_.begin(), round_to_odd);
    encode_row_at(storage, layer, kind, slot, g, row_.data());
  }
}

template <typename T>
void CpuBackend<T>::read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                              std::span<const int64_t> slots, TensorView host) {
  checks::rows(storage, layer, slots, host);
  const RowLayout layout = storage.spec().layout();
  const Shape row_shape{layout.head_dim};
  const EncodedRows encoded(storage, layer, kind);
  std::vector<float> row(static_cast<size_t>(encoded.encoded() ? layout.head_dim : 0));
  const TensorView each = host.reshaped({host.dim(0) * layout.n_kv_heads, layout.head_dim});
  for (size_t i = 0; i < slots.size(); ++i)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g) {
      const TensorView to = each.rows(static_cast<int64_t>(i) * layout.n_kv_heads + g, 1);
      if (encoded.encoded()) {
        encoded.decode(slots[i], g, row.data());
        convert(TensorView(row.data(), row_shape), to);
      } else {
        const T* rows = storage.rows(layer, kind).template data<T>();
        convert(ConstTensorView(rows + row_offset(layout, slots[i], g), row_shape), to);
      }
    }
}

template <typename T>
void CpuBackend<T>::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                               std::span<const int64_t> slots, ConstTensorView host) {
  checks::rows(storage, layer, slots, host);
  const RowLayout layout = storage.spec().layout();
  const bool encoded = storage.rows(layer, kind).dtype() != dtype_of<T>;
  std::vector<double> wide(static_cast<size_t>(encoded ? layout.head_dim : 0));
  const ConstTensorView each = host.reshaped({host.dim(0) * layout.n_kv_heads, layout.head_dim});
  for (size_t i = 0; i < slots.size(); ++i)
    for (int32_t g = 0; g < layout.n_kv_heads; ++g) {
      const ConstTensorView from = each.rows(static_cast<int64_t>(i) * layout.n_kv_heads + g, 1);
      if (encoded) {
        convert(from, TensorView(wide.data(), Shape{layout.head_dim}));
        encode(storage, layer, kind, slots[i], g, wide.data());
      } else {
        T* rows = storage.rows(layer, kind).template data<T>();
        convert(from, TensorView(rows + row_offset(layout, slots[i], g), Shape{layout.head_dim}));
      }
    }
}

template <typename T>
void CpuBackend<T>::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  checks::copy_blocks(storage, copies);
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (RowKind kind : {RowKind::k, RowKind::v})
      for (const auto& [from, to] : copies) {
        if (storage.spec().group_of(layer) != 0) continue;
        const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
        convert(rows.rows(from, 1), rows.rows(to, 1));
        if (!scales.empty()) convert(scales.rows(from, 1), scales.rows(to, 1));
      }
}

namespace {

/// The arrays of a plan where they are.
Batch batch_of(const StepPlan& plan, const Batch* of_windowed) {
  return {&plan,
          plan.tokens.data(),
          plan.effective_positions().data(),
          plan.q_start.data(),
          plan.kv_len.data(),
          plan.block_tables.data(),
          plan.append_slots.data(),
          plan.logit_rows.data(),
          plan.table_first.empty() ? nullptr : plan.table_first.data(),
          plan.effective_key_positions().empty() ? nullptr : plan.effective_key_positions().data(),
          plan.open_blocks.empty() ? nullptr : plan.open_blocks.data(),
          plan.open_blocks.empty() ? nullptr : plan.open_slots.data(),
          plan.open_blocks.empty() ? nullptr : plan.seals.data(),
          of_windowed};
}

}  // namespace

template <typename T>
const Batch& CpuBackend<T>::begin_step(const StepPlan& plan, KvStorage& storage) {
  checks::plan(plan, storage);
  this->copy_blocks(storage, plan.block_copies);
  storage.open_blocks().set(plan.open_blocks);
  const bool has_windowed = !plan.of_windowed.empty();
  if (has_windowed) windowed_batch_ = batch_of(plan.of_windowed.front(), nullptr);
  batch_ = batch_of(plan, has_windowed ? &windowed_batch_ : nullptr);
  return batch_;
}

template <typename T>
void CpuBackend<T>::replay(int64_t, FunctionRef<void()> ops) {
  ops();  // on a CPU a record would not be faster
}

template <typename T>
void CpuBackend<T>::compute(const Embed& op) {
  const int64_t dim = op.table.dim(1);
  const T* rows = op.table.template data<T>();
  T* out = op.out.template data<T>();
  for (int64_t t = 0; t < op.out.dim(0); ++t)
    std::copy_n(rows + op.batch.tokens[t] * dim, dim, out + t * dim);
}

template <typename T>
void CpuBackend<T>::compute(const EmbedPositions& op) {
  const int64_t dim = op.table.dim(1);
  T* x = op.x.template data<T>();
  for (int64_t t = 0; t < op.x.dim(0); ++t, x += dim) {
    const T* row = op.table.template data<T>() + op.batch.positions[t] * dim;
    for (int64_t i = 0; i < dim; ++i) x[i] += row[i];
  }
}

template <typename T>
void CpuBackend<T>::compute(const Append& op) {
  const RowLayout layout = op.storage.spec().layout();
  const auto put = [&](ConstTensorView rows, RowKind kind) {
    const T* source = rows.data<T>();  // [n_tokens, n_kv_heads, head_dim]
    const TensorView stored = op.storage.rows(op.site.layer, kind);
    T* const target = stored.dtype() == dtype_of<T> ? stored.data<T>() : nullptr;
    float* const open = kind == RowKind::k && op.storage.has_open_blocks()
                            ? op.storage.open_keys(op.site.layer).template data<float>()
                            : nullptr;
    for (int64_t t = 0; t < rows.dim(0); ++t)
      for (int32_t g = 0; g < layout.n_kv_heads; ++g, source += layout.head_dim)
        if (open != nullptr)
          std::transform(source, source + layout.head_dim,
                         open + row_offset(layout, op.batch.open_slots[t], g),
                         [](T x) { return static_cast<float>(x); });
        else if (target != nullptr)
          std::copy_n(source, layout.head_dim, target + row_offset(layout, op.batch.append_slots[t], g));
        else
          encode(op.storage, op.site.layer, kind, op.batch.append_slots[t], g, source);
  };
  put(op.k, RowKind::k);
  put(op.v, RowKind::v);
}

template <typename T>
void CpuBackend<T>::compute(const SealKeys& op) {
  for (const int32_t block : op.batch.plan->seals) seal_block(op.storage, op.site.layer, block);
}

template <typename T>
void CpuBackend<T>::compute(const GatherRows& op) {
  const int64_t dim = op.x.dim(1);
  const T* rows = op.x.template data<T>();
  T* out = op.out.template data<T>();
  for (int64_t i = 0; i < op.out.dim(0); ++i)
    std::copy_n(rows + op.batch.logit_rows[i] * dim, dim, out + i * dim);
}

template <typename T>
void CpuBackend<T>::compute(const Argmax& op) {
  const int64_t vocab_size = op.logits.dim(1);
  const T* row = op.logits.template data<T>();
  int32_t* id = op.ids.template data<int32_t>();
  for (int64_t i = 0; i < op.logits.dim(0); ++i, row += vocab_size)
    id[i] = static_cast<int32_t>(std::max_element(row, row + vocab_size) - row);
}

template class CpuBackend<float>;
template class CpuBackend<double>;

}  // namespace lastrow
