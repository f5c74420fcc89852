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
  /// their scales. With scales for channels: see below.
  const std::byte* stored(int64_t slot, int32_t g) const {
    const int32_t open = open_block(slot);
    if (open >= 0) return open_rows_ + row_in(layout_, open, slot % layout_.block_len, g) * row_bytes(slot);
    return rows_ + scale_offset(layout_, slot, g) * row_bytes_;
  }
  const std::byte* scales(int64_t slot, int32_t g) const {
    if (open_block(slot) >= 0) return nullptr;
    if (per_channel()) return scales_ + channel_scales_offset(layout_, slot / layout_.block_len, g) * 4;
    return scales_ == nullptr ? nullptr : scales_ + scale_offset(layout_, slot, g) * scales_bytes_;
  }
  void decode(const std::byte* stored, const std::byte* scales, float* row) const;

  /// Whether scales belong to channels of a block (cache/kv_channels.h). Then all rows of a block have the same
  /// scales, f32 [head_dim]. In an open block rows are f32, and scales() is nullptr.
  bool per_channel() const { return open_blocks_ != nullptr; }
  DType dtype() const { return dtype_; }
  /// Of a stored row, and of a row in this slot, which may be in an open block.
  int64_t row_bytes() const { return row_bytes_; }
  int64_t row_bytes(int64_t slot) const { return open_block(slot) >= 0 ? layout_.head_dim * 4 : row_bytes_; }
  int64_t scales_bytes() const { return scales_bytes_; }  // of a row; 0 if rows have none

 private:
  DType dtype_;
  const std::byte* rows_;
  const std::byte* scales_;  // f32, or f16 for int4 and fp4; nullptr if the type has no scales
  RowLayout layout_;
  int64_t row_bytes_, scales_bytes_;
  const int32_t* open_blocks_ = nullptr;  // [n_blocks], if scales belong to channels
  const std::byte* open_rows_ = nullptr;  // f32 [n_open_blocks, n_kv_heads, block_len, head_dim]

  int32_t open_block(int64_t slot) const {
    return per_channel() ? open_blocks_[slot / layout_.block_len] : -1;
  }
};

/// Only for storage whose rows are encoded. If the scales belong to channels, a row of a sealed block takes the
/// scales that the block has (to_int8_within).
void encode_row_at(KvStorage& storage, int32_t layer, RowKind kind, int64_t slot, int32_t g,
                   const float* row);

/// Gives a block of K its scales, and stores the rows of its open block as codes (ops/seal_keys.h).
void seal_block(KvStorage& storage, int32_t layer, int32_t block);

}  // namespace lastrow
