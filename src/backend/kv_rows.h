// Decodes and encodes stored K and V rows in host memory. Only this file has a case for each stored type.
//
//   EncodedRows rows(storage, layer, RowKind::k);                 a view of K of one layer; cheap to copy
//   if (rows.encoded()) rows.decode(slot, g, row);                slot and head → row [head_dim], f32
//   encode_row_at(storage, layer, RowKind::k, slot, g, row);      row [head_dim], f32 → slot and head
//
// Do not use it for rows that are not encoded (f32, and f64 in the judge): KvStorage::rows gives them in
// place.
#pragma once

#include <cstddef>

#include "ops/kv_storage.h"

namespace lastrow {

class EncodedRows {
 public:
  EncodedRows(const KvStorage& storage, int32_t layer, RowKind kind);
  /// Rotated keys in a scratch of this layout: f32, so not encoded.
  EncodedRows(ConstTensorView keys, RowLayout layout);

  /// Whether rows are stored in another type than attention computes in.
  bool encoded() const { return dtype_ != DType::f32 && dtype_ != DType::f64; }
  void decode(int64_t slot, int32_t g, float* row) const { decode(stored(slot, g), scales(slot, g), row); }

  /// Where a row and its scales begin. The rows of a block follow each other, row_bytes() apart, and so do
  /// their scales.
  const std::byte* stored(int64_t slot, int32_t g) const {
    return rows_ + scale_offset(layout_, slot, g) * row_bytes_;
  }
  const std::byte* scales(int64_t slot, int32_t g) const {
    return scales_ == nullptr ? nullptr : scales_ + scale_offset(layout_, slot, g) * scales_bytes_;
  }
  void decode(const std::byte* stored, const std::byte* scales, float* row) const;
  DType dtype() const { return dtype_; }
  int64_t row_bytes() const { return row_bytes_; }
  int64_t scales_bytes() const { return scales_bytes_; }  // of a row; 0 if the type has none

 private:
  DType dtype_;
  const std::byte* rows_;
  const std::byte* scales_;  // f32, or f16 for int4 and fp4; nullptr if the type has no scales
  RowLayout layout_;
  int64_t row_bytes_, scales_bytes_;
};

/// Only for storage whose rows are encoded.
void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row);

}  // namespace lastrow
