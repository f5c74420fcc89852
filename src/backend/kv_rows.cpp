#include "backend/kv_rows.h"

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
      scales_bytes_(n_scales(dtype_, layout_.head_dim) * scale_bytes(dtype_)) {}

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
    if constexpr (is_grouped<T>)
      decode_groups(codes, reinterpret_cast<const Half*>(scales), layout_.head_dim, row);
    else
      decode_row(codes, scales == nullptr ? 1.0f : *reinterpret_cast<const float*>(scales), layout_.head_dim,
                 row);
  });
}

void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row) {
  const RowLayout layout = storage.spec().layout();
  const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
  with_encoded_type(rows.dtype(), [&]<typename T>(T) {
    const int64_t n = scale_offset(layout, slot, g);  // the row's number
    T* stored = rows.data<T>() + n * (layout.head_dim / numbers_in(dtype_of<T>));
    if constexpr (is_grouped<T>) {
      encode_groups(row, layout.head_dim, stored, scales.data<Half>() + n * n_groups(layout.head_dim));
    } else {
      const float scale = encode_row(row, layout.head_dim, stored);
      if (!scales.empty()) scales.data<float>()[n] = scale;
    }
  });
}

}  // namespace lastrow
