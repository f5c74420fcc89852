// The rows of one tile of keys or values: where they are stored, and as floats.
//
//   const LayerRows k(storage, layer, RowKind::k);             K of one layer
//   const HeadRows head = k.of(block_table, g);                of one sequence and one K/V head, by index
//   const TileRows tile(head, begin, end);                     the indices [begin, end), at most kTile
//   tile.view()                                                for vector_rows.h
//   FloatRoom room;                                            no heap for head_dim ≤ 256
//   const float* const* rows = room.floats(tile);              for row_sums.h: pointers to rows of floats
//
// Rows that are stored in f32 stay in place. Others are decoded into the room, where they stay until it is
// used again.
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

#include "backend/eigen.h"
#include "backend/kv_rows.h"
#include "backend/vector_rows.h"

namespace lastrow {

/// The rows of one K/V head of one sequence, by index.
struct HeadRows {
  const EncodedRows& rows;
  RowLayout layout;
  BlockTable table;
  int32_t g;
  /// The row [head_dim] at index s. Points into the storage; if rows are encoded, decodes it to `room` first.
  const float* row(int32_t s, float* room) const {
    const std::byte* stored = rows.stored(slot_of(table, s), g);
    if (!rows.encoded()) return reinterpret_cast<const float*>(stored);
    rows.decode(stored, rows.scales(slot_of(table, s), g), room);
    return room;
  }
};

/// K or V of one layer.
struct LayerRows {
  LayerRows(const KvStorage& kv, int32_t layer, RowKind kind)
      : rows(kv, layer, kind), layout(kv.spec().layout()) {}
  /// The keys of an Attend or a Probe: the rotated ones if it has them, else the stored ones.
  template <typename Looking>
  static LayerRows keys_of(const Looking& op) {
    LayerRows k(op.storage, op.site.layer, RowKind::k);
    if (!op.keys.empty()) k.rows = EncodedRows(op.keys, k.layout);
    return k;
  }
  HeadRows of(BlockTable table, int32_t g) const { return {rows, layout, table, g}; }

  EncodedRows rows;
  RowLayout layout;
};

class TileRows {
 public:
  static constexpr int32_t kTile = EigenBackend::kTile;

  TileRows() {}  // no rows
  TileRows(const HeadRows& head, int32_t begin, int32_t end)
      : rows_(&head.rows), n_(end - begin), head_dim_(head.layout.head_dim) {
    for (int32_t s = begin; s < end;) {
      const int64_t slot = slot_of(head.table, s);
      const std::byte *row = rows_->stored(slot, head.g), *scale = rows_->scales(slot, head.g);
      const int32_t n_here = std::min(end - s, run_from(head.table, s));  // the rest of this block
      for (int32_t i = 0; i < n_here; ++i, ++s) {
        stored_[s - begin] = row + i * rows_->row_bytes(slot);
        scales_[s - begin] = scale + i * rows_->scales_bytes();
      }
    }
  }

  int32_t n() const { return n_; }
  int64_t head_dim() const { return head_dim_; }
  const EncodedRows& rows() const { return *rows_; }
  const std::byte* const* stored() const { return stored_; }  // [n]
  const std::byte* const* scales() const { return scales_; }  // [n]
  /// The same, for sums in registers.
  vector_rows::Rows view() const {
    if (n_ == 0) return {};
    return {rows_->dtype(), n_, head_dim_, rows_->row_bytes(), stored_, scales_};
  }

 private:
  const EncodedRows* rows_ = nullptr;
  int32_t n_ = 0;
  int64_t head_dim_ = 0;
  const std::byte *stored_[kTile], *scales_[kTile];  // [n_] are set
};

class FloatRoom {
 public:
  const float* const* floats(const TileRows& tile) {
    if (!tile.rows().encoded()) {
      for (int32_t i = 0; i < tile.n(); ++i) pointers_[i] = reinterpret_cast<const float*>(tile.stored()[i]);
      return pointers_;
    }
    float* const place = room_for(tile.n() * tile.head_dim());
    for (int32_t i = 0; i < tile.n(); ++i) {
      pointers_[i] = place + i * tile.head_dim();
      tile.rows().decode(tile.stored()[i], tile.scales()[i], place + i * tile.head_dim());
    }
    return pointers_;
  }

 private:
  float* room_for(int64_t n_floats) {
    if (n_floats <= static_cast<int64_t>(std::size(small_))) return small_;
    large_.resize(static_cast<size_t>(n_floats));
    return large_.data();
  }

  const float* pointers_[TileRows::kTile];
  alignas(64) float small_[TileRows::kTile * 256];
  std::vector<float> large_;
};

}  // namespace lastrow
