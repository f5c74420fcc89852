// DeviceBackend: tensors, K/V storage, and what crosses between host and device.
#include "backend/checks.h"
#include "gpu/backend/channel_storage.h"
#include "gpu/backend/device_backend.h"
#include "gpu/ops/ops.h"

namespace lastrow::LASTROW_TARGET {

// ---- memory

Tensor DeviceBackend::make_tensor(Shape shape, std::optional<DType> dtype) {
  require_not_recording("a tensor");
  return Tensor(runtime_->memory(), dtype.value_or(DType::f32), shape);
}

Tensor DeviceBackend::upload(ConstTensorView host) {
  Tensor t = make_tensor(host.shape());
  write(host, t.view());
  return t;
}

void DeviceBackend::download(ConstTensorView from, TensorView host) {
  require_shape("download target", host.shape(), from.shape());
  require_not_recording("a download");
  if (from.dtype() == host.dtype()) return runtime_->to_host(host.raw(), from.raw(), from.size_bytes());
  Tensor same = Tensor::host(from.dtype(), from.shape());
  runtime_->to_host(same.view().raw(), from.raw(), from.size_bytes());
  convert(same.view(), host);
}

void DeviceBackend::write(ConstTensorView host, TensorView to) {
  require_shape("write source", host.shape(), to.shape());
  require_not_recording("a write");
  if (host.dtype() == to.dtype()) return runtime_->to_device(to.raw(), host.raw(), to.size_bytes());
  Tensor same = Tensor::host(to.dtype(), to.shape());
  convert(host, same.view());
  runtime_->to_device(to.raw(), same.view().raw(), to.size_bytes());
}

// ---- K/V storage

std::unique_ptr<KvStorage> DeviceBackend::make_storage(const CacheSpec& spec) {
  validate(spec);
  require_not_recording("storage");
  return std::make_unique<KvStorage>(spec, runtime_->memory(), spec.dtypes());
}

void DeviceBackend::read_rows(const KvStorage& storage, int32_t layer, RowKind kind,
                              std::span<const int64_t> slots, TensorView host) {
  checks::rows(storage, layer, slots, host);
  if (slots.empty()) return;
  const CacheSpec& spec = storage.spec();
  Tensor rows = make_tensor(host.shape()), at = make_tensor({static_cast<int64_t>(slots.size())}, DType::i64);
  runtime_->to_device(at.view().raw(), slots.data(), at.size_bytes());
  const auto n_rows = static_cast<int32_t>(slots.size());
  if (kind == RowKind::k && storage.has_open_blocks()) {
    const Tensor open = upload_open_blocks(storage);
    fetch_channel_rows({.rows = rows.data<float>(),
                        .slots = at.data<int64_t>(),
                        .k = channel_storage(storage, layer, open.data<int32_t>()),
                        .n_rows = n_rows},
                       runtime_->stream());
    return download(rows.view(), host);
  }
  const ConstTensorView scales = storage.scales(layer, kind);
  fetch_rows({.rows = rows.data<float>(),
              .slots = at.data<int64_t>(),
              .storage = storage.rows(layer, kind).raw(),
              .scales = scales.raw(),
              .layout = spec.layout(),
              .kv_dtype = spec.dtypes().of(kind),
              .n_rows = n_rows,
              .n_blocks = spec.n_blocks_of(layer)},
             runtime_->stream());
  download(rows.view(), host);
}

void DeviceBackend::write_rows(KvStorage& storage, int32_t layer, RowKind kind,
                               std::span<const int64_t> slots, ConstTensorView host) {
  checks::rows(storage, layer, slots, host);
  if (slots.empty()) return;
  const Tensor rows = upload(host);
  Tensor at = make_tensor({static_cast<int64_t>(slots.size())}, DType::i64);
  runtime_->to_device(at.view().raw(), slots.data(), at.size_bytes());
  const auto n_rows = static_cast<int32_t>(slots.size());
  if (kind == RowKind::k && storage.has_open_blocks()) {
    const Tensor open = upload_open_blocks(storage);
    store_channel_rows({.rows = rows.data<float>(),
                        .slots = at.data<int64_t>(),
                        .k = channel_storage(storage, layer, open.data<int32_t>()),
                        .n_rows = n_rows},
                       runtime_->stream());
    return;
  }
  put({layer, "write_rows"}, rows.data<float>(), kind, at.data<int64_t>(), n_rows, storage);
}

/// OpenBlocks::numbers on the device. The arrays of the step may be those of another storage.
Tensor DeviceBackend::upload_open_blocks(const KvStorage& storage) {
  const std::span<const int32_t> host = storage.open_blocks().numbers();
  Tensor open = make_tensor({static_cast<int64_t>(host.size())}, DType::i32);
  runtime_->to_device(open.view().raw(), host.data(), open.size_bytes());
  return open;
}

void DeviceBackend::copy_blocks(KvStorage& storage, std::span<const BlockCopy> copies) {
  checks::copy_blocks(storage, copies);
  LASTROW_CHECK(copies.empty() || !storage.has_open_blocks(),
                "{} block copies, but K with scales for channels shares no blocks", copies.size());
  for (int32_t layer = 0; layer < storage.spec().n_layers; ++layer)
    for (const RowKind kind : {RowKind::k, RowKind::v})
      for (const auto& [from, to] : copies) {
        if (storage.spec().group_of(layer) != 0) continue;
        const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
        runtime_->on_device(rows.rows(to, 1).raw(), rows.rows(from, 1).raw(),
                            rows.rows(from, 1).size_bytes());
        if (!scales.empty())
          runtime_->on_device(scales.rows(to, 1).raw(), scales.rows(from, 1).raw(),
                              scales.rows(from, 1).size_bytes());
      }
}

/// n rows [n_kv_heads, head_dim] into their slots, encoded.
void DeviceBackend::put(Site site, const float* rows, RowKind kind, const int64_t* slots, int32_t n,
                        KvStorage& storage) {
  const CacheSpec& spec = storage.spec();
  const TensorView scales = storage.scales(site.layer, kind);
  store_rows({.rows = rows,
              .slots = slots,
              .storage = storage.rows(site.layer, kind).raw(),
              .scales = scales.raw(),
              .layout = spec.layout(),
              .kv_dtype = spec.dtypes().of(kind),
              .n_rows = n,
              .n_blocks = spec.n_blocks_of(site.layer)},
             runtime_->stream());
}

/// n rows of K [n_kv_heads, head_dim] into slots of the open blocks, in f32.
void DeviceBackend::put_open(Site site, const float* keys, const int64_t* open_slots, int32_t n,
                             KvStorage& storage) {
  store_rows({.rows = keys,
              .slots = open_slots,
              .storage = storage.open_keys(site.layer).raw(),
              .scales = nullptr,
              .layout = storage.spec().layout(),
              .kv_dtype = DType::f32,
              .n_rows = n,
              .n_blocks = storage.spec().n_open_blocks},
             runtime_->stream());
}

}  // namespace lastrow::LASTROW_TARGET
