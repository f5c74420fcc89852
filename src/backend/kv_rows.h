// Decodes and encodes stored K and V rows in host memory. Only this file has a case for each stored type.
//
//   EncodedRows rows(storage, layer, RowKind::k);                 a view of K of one layer; cheap to copy
//   if (rows.encoded()) rows.decode(slot, g, row);                slot and head → row [head_dim], f32
//   encode_row_at(storage, layer, RowKind::k, slot, g, row);      row [head_dim], f32 → slot and head
//
// Do not use it for rows that are not encoded (f32, and f64 in the judge): KvStorage::rows gives them in
// place.
#pragma once

#include "ops/kv_storage.h"

namespace lastrow {

class EncodedRows {
 public:
  EncodedRows(const KvStorage& storage, int32_t layer, RowKind kind);

  /// Whether rows are stored in another type than attention computes in.
  bool encoded() const { return dtype_ != DType::f32 && dtype_ != DType::f64; }
  void decode(int64_t slot, int32_t g, float* row) const;

 private:
  DType dtype_;
  const void* rows_;
  const void* scales_;  // f32, or f16 for int4 and fp4; nullptr if the type has no scales
  RowLayout layout_;
};

/// Only for storage whose rows are encoded.
void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row);

}  // namespace lastrow
