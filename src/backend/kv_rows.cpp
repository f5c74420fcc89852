#include "backend/kv_rows.h"

#include "core/error.h"

namespace lastrow {
namespace {

template <typename F>
void with_encoded_type(DType dtype, F&& f) {
  with_type(dtype, [&]<typename T>(T zero) {
    constexpr DType kType = dtype_of<T>;
    if constexpr (kType == DType::f16 || kType == DType::bf16 || kType == DType::fp8_e4m3 ||
                  kType == DType::i8)
      f(zero);
    else
      LASTROW_CHECK(false, "rows of {} are not encoded", name_of(dtype));
  });
}

}  // namespace

EncodedRows::EncodedRows(const KvStorage& storage, int32_t layer, RowKind kind)
    : dtype_(storage.rows(layer, kind).dtype()),
      rows_(storage.rows(layer, kind).raw()),
      scales_(static_cast<const float*>(storage.scales(layer, kind).raw())),
      layout_(storage.spec().layout()) {}

void EncodedRows::decode(int64_t slot, int32_t g, float* row) const {
  with_encoded_type(dtype_, [&]<typename T>(T) {
    const float scale = scales_ == nullptr ? 1.0f : scales_[scale_offset(layout_, slot, g)];
    decode_row(static_cast<const T*>(rows_) + row_offset(layout_, slot, g), scale, layout_.head_dim, row);
  });
}

void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row) {
  const RowLayout layout = storage.spec().layout();
  const TensorView rows = storage.rows(layer, kind), scales = storage.scales(layer, kind);
  with_encoded_type(rows.dtype(), [&]<typename T>(T) {
    const float scale = encode_row(row, layout.head_dim, rows.data<T>() + row_offset(layout, slot, g));
    if (!scales.empty()) scales.data<float>()[scale_offset(layout, slot, g)] = scale;
  });
}

}  // namespace lastrow
