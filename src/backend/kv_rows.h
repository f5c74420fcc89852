// Encoded K and V rows as plain numbers, in host memory: the dispatch over the stored types, in one place.
//
//   EncodedRows rows(storage, layer, RowKind::k);      a view of one layer's K or V, passed by value
//   if (rows.encoded()) rows.decode(slot, g, row);     row [head_dim], f32
//   encode_row_at(storage, layer, RowKind::k, slot, g, row);
//
// Rows that are not encoded (f32, and f64 of the judge) are read where they lie: KvStorage::rows.
#pragma once

#include "ops/kv_storage.h"

namespace lastrow {

class EncodedRows {
 public:
  EncodedRows(const KvStorage& storage, int32_t layer, RowKind kind);

  /// Are rows stored in another type than attention computes in?
  bool encoded() const { return dtype_ != DType::f32 && dtype_ != DType::f64; }
  void decode(int64_t slot, int32_t g, float* row) const;

 private:
  DType dtype_;
  const void* rows_;
  const float* scales_;  // nullptr where the type has none
  RowLayout layout_;
};

/// Only for storage whose rows are encoded.
void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row);

}  // namespace lastrow
