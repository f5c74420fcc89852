// Where K and V rows are: made by a backend from a CacheSpec, read by it alone, held by the cache's owner.
//
// K or V of one layer is [n_blocks, n_kv_heads, block_len, head_dim] in the backend's memory; int8 rows have
// scales beside them, f32 [n_blocks, n_kv_heads, block_len] (cache/kv_codec.h). Nothing is initialised: a
// slot that no append has written may hold anything.
//
// All of it is one allocation, the arena: K of layer 0, V of layer 0, K of layer 1, …, each with its scales
// behind it. Rows and scales begin at multiples of kAlignment bytes from the arena's start.
#pragma once

#include "cache/kv_cache.h"
#include "core/tensor.h"
#include "ops/site.h"

namespace lastrow {

enum class RowKind : uint8_t { k, v };

class KvStorage {
 public:
  static constexpr int64_t kAlignment = 256;  // that of cudaMalloc

  /// `dtype` is what the backend stores for spec.dtype: the double-precision judge widens f32 rows to f64.
  /// Throws CapacityError if the memory does not have that much.
  KvStorage(const CacheSpec& spec, Memory& memory, DType dtype)
      : spec_(spec),
        dtype_(dtype),
        rows_bytes_(aligned(spec.layer_rows() * spec.head_dim * static_cast<int64_t>(size_of(dtype)))),
        scales_bytes_(aligned(spec.layer_rows() * scale_bytes(dtype))),
        arena_(memory, DType::u8, {arena_bytes()}) {}

  const CacheSpec& spec() const { return spec_; }
  /// In the stored type.
  TensorView rows(int32_t layer, RowKind kind) {
    return {place(arena_.view(), layer, kind).raw(), dtype_, rows_shape()};
  }
  ConstTensorView rows(int32_t layer, RowKind kind) const {
    return {place(arena_.view(), layer, kind).raw(), dtype_, rows_shape()};
  }
  /// Empty where the stored type has none.
  TensorView scales(int32_t layer, RowKind kind) {
    if (scales_bytes_ == 0) return {};
    return {scales_in(place(arena_.view(), layer, kind)).raw(), DType::f32, scales_shape()};
  }
  ConstTensorView scales(int32_t layer, RowKind kind) const {
    if (scales_bytes_ == 0) return {};
    return {scales_in(place(arena_.view(), layer, kind)).raw(), DType::f32, scales_shape()};
  }
  /// Of a stored element, and of the scale of a row (0 where the type has none).
  int64_t elem_bytes() const { return static_cast<int64_t>(size_of(dtype_)); }
  int64_t row_scale_bytes() const { return scale_bytes(dtype_); }
  /// Counted at the allocation: all layers, K and V, their scales, and what aligning them takes, which is
  /// less than kAlignment for each and nothing where their sizes are multiples of it.
  int64_t bytes() const { return arena_.size_bytes(); }

 private:
  static constexpr int64_t aligned(int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  int64_t arena_bytes() const {
    constexpr int64_t kMost = int64_t{1} << 60;  // widened and aligned it still fits int64
    if (spec_.bytes() > kMost)
      throw CapacityError("a K/V cache of {} bytes: no machine has so many, use a smaller context",
                          spec_.bytes());
    return 2 * spec_.n_layers * (rows_bytes_ + scales_bytes_);
  }
  Shape rows_shape() const { return {spec_.n_blocks, spec_.n_kv_heads, spec_.block_len, spec_.head_dim}; }
  Shape scales_shape() const { return {spec_.n_blocks, spec_.n_kv_heads, spec_.block_len}; }
  /// Rows and scales of K or V of a layer; their scales alone.
  template <typename View>
  View place(View arena, int32_t layer, RowKind kind) const {
    LASTROW_CHECK(layer >= 0 && layer < spec_.n_layers, "layer {} of {}", layer, spec_.n_layers);
    const int64_t bytes = rows_bytes_ + scales_bytes_;
    return arena.rows((2 * layer + (kind == RowKind::v ? 1 : 0)) * bytes, bytes);
  }
  template <typename View>
  View scales_in(View place) const {
    return place.rows(rows_bytes_, scales_bytes_);
  }

  CacheSpec spec_;
  DType dtype_;
  int64_t rows_bytes_, scales_bytes_;  // of K or V of a layer
  Tensor arena_;                       // u8
};

/// Throws ShapeError unless the storage has the layer of this site.
void require_layer(Site site, const KvStorage& storage);

}  // namespace lastrow
