#include "backend/kv_rows.h"

#include <algorithm>

#include "cache/kv_channels.h"
#include "cache/kv_groups.h"
#include "core/error.h"

namespace lastrow {
namespace {

template <typename F>
void with_encoded_type(DType dtype, F&& f) {
  with_type(dtype, [&]<typename T>(T zero) {
    constexpr DType kType = dtype_of<T>;
    if constexpr (is_kv_dtype(kType) && kType != DType::f32)
      f(zero);
    else
      LASTROW_CHECK(false, "rows of {} are not encoded", name_of(dtype));
  });
}

}  // namespace

EncodedRows::EncodedRows(const KvStorage& storage, int32_t layer, RowKind kind)
    : dtype_(storage.rows(layer, kind).dtype()),
      rows_(static_cast<const std::byte*>(storage.rows(layer, kind).raw())),
      scales_(static_cast<const std::byte*>(storage.scales(layer, kind).raw())),
      layout_(storage.spec().layout()),
      row_bytes_(layout_.head_dim / numbers_in(dtype_) * static_cast<int64_t>(size_of(dtype_))),
      scales_bytes_(n_scales(dtype_, layout_.head_dim) * scale_bytes(dtype_)) {
  if (kind == RowKind::v || !storage.has_open_blocks()) return;
  open_blocks_ = storage.open_blocks().numbers().data();
  open_rows_ = static_cast<const std::byte*>(storage.open_keys(layer).raw());
}

EncodedRows::EncodedRows(ConstTensorView keys, RowLayout layout)
    : dtype_(keys.dtype()),
      rows_(static_cast<const std::byte*>(keys.raw())),
      scales_(nullptr),
      layout_(layout),
      row_bytes_(layout.head_dim * static_cast<int64_t>(size_of(keys.dtype()))),
      scales_bytes_(0) {}

void EncodedRows::decode(const std::byte* stored, const std::byte* scales, float* row) const {
  with_encoded_type(dtype_, [&]<typename T>(T) {
    const T* codes = reinterpret_cast<const T*>(stored);
    if constexpr (std::is_same_v<T, Int8Channel>) {
      const auto* scale = reinterpret_cast<const float*>(scales);
      if (scale == nullptr)
        std::copy_n(reinterpret_cast<const float*>(stored), layout_.head_dim, row);
      else
        for (int32_t d = 0; d < layout_.head_dim; ++d) row[d] = decode_channel(codes[d], scale[d]);
    } else if constexpr (is_grouped<T>)
      decode_groups(codes, reinterpret_cast<const Half*>(scales), layout_.head_dim, row);
    else
      decode_row(codes, scales == nullptr ? 1.0f : *reinterpret_cast<const float*>(scales), layout_.head_dim,
                 row);
  });
}

namespace {

/// A row of K in a sealed block: its codes, and the scales of its block [head_dim].
struct SealedRow {
  Int8Channel* codes;
  float* scales;
};
SealedRow sealed_row(KvStorage& storage, int32_t layer, int64_t slot, int32_t g) {
  const CacheSpec& spec = storage.spec();
  const int64_t block = slot / spec.block_len;
  return {storage.rows(layer, RowKind::k).data<Int8Channel>() + row_offset(spec.layout(), slot, g),
          storage.scales(layer, RowKind::k).data<float>() + channel_scales_offset(spec.layout(), block, g)};
}

void encode_in_channels(KvStorage& storage, int32_t layer, int64_t slot, int32_t g, const float* row) {
  const RowLayout layout = storage.spec().layout();
  const int64_t open_slot = storage.open_blocks().slot_of(slot);
  if (open_slot >= 0) {
    std::copy_n(row, layout.head_dim,
                storage.open_keys(layer).data<float>() + row_offset(layout, open_slot, g));
    return;
  }
  const SealedRow stored = sealed_row(storage, layer, slot, g);
  for (int32_t d = 0; d < layout.head_dim; ++d) stored.codes[d] = to_int8_within(row[d], stored.scales[d]);
}

}  // namespace

void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row) {
  const RowLayout layout = storage.spec().layout();
  const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
  if (has_channel_scales(rows.dtype())) return encode_in_channels(storage, layer, slot, g, row);
  with_encoded_type(rows.dtype(), [&]<typename T>(T) {
    const int64_t n = scale_offset(layout, slot, g);  // the row's number
    T* stored = rows.data<T>() + n * (layout.head_dim / numbers_in(dtype_of<T>));
    if constexpr (std::is_same_v<T, Int8Channel>) {  // encode_in_channels has done it
    } else if constexpr (is_grouped<T>) {
      encode_groups(row, layout.head_dim, stored, scales.data<Half>() + n * n_groups(layout.head_dim));
    } else {
      const float scale = encode_row(row, layout.head_dim, stored);
      if (!scales.empty()) scales.data<float>()[n] = scale;
    }
  });
}

void seal_block(KvStorage& storage, int32_t layer, int32_t block) {
  const CacheSpec& spec = storage.spec();
  const int64_t slot = int64_t{block} * spec.block_len, open_slot = storage.open_blocks().slot_of(slot);
  LASTROW_CHECK(open_slot >= 0, "block {} is sealed a second time", block);
  for (int32_t g = 0; g < spec.n_kv_heads; ++g) {
    const float* rows = storage.open_keys(layer).data<float>() + row_offset(spec.layout(), open_slot, g);
    const SealedRow stored = sealed_row(storage, layer, slot, g);
    for (int32_t d = 0; d < spec.head_dim; ++d)
      stored.scales[d] = encode_channel(rows + d, spec.block_len, spec.head_dim, stored.codes + d);
  }
}

}  // namespace lastrow
