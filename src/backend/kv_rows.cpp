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
      rows_(storage.rows(layer, kind).raw()),
      scales_(storage.scales(layer, kind).raw()),
      layout_(storage.spec().layout()) {}

void EncodedRows::decode(int64_t slot, int32_t g, float* row) const {
  with_encoded_type(dtype_, [&]<typename T>(T) {
    const int64_t n = scale_offset(layout_, slot, g);  // the row's number
    const T* stored = static_cast<const T*>(rows_) + n * (layout_.head_dim / numbers_in(dtype_of<T>));
    if constexpr (is_grouped<T>)
      decode_groups(stored, static_cast<const Half*>(scales_) + n * n_groups(layout_.head_dim),
                    layout_.head_dim, row);
    else
      decode_row(stored, scales_ == nullptr ? 1.0f : static_cast<const float*>(scales_)[n], layout_.head_dim,
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
