// The memory that holds the K and V rows of all layers.
//
//   auto storage = backend.make_storage(spec);                      the caller owns it
//   backend.run(Append{site, k, v, batch, *storage});               writes rows
//   backend.read_rows(*storage, layer, RowKind::k, slots, host);    copies rows to the host
//
// * Only the backend that made a storage reads and writes its memory. Others ask that backend.
// * Do not read a slot before an append has written it: nothing is initialised, so it may hold anything.
//
// K or V of one layer is [n_blocks, n_kv_heads, block_len, head_dim] in the backend's memory. If the type is
// int8, each row has a scale: f32 [n_blocks, n_kv_heads, block_len] (cache/kv_codec.h). If it is int4 or fp4,
// rows are [n_blocks, n_kv_heads, block_len, head_dim / 2] bytes, and scales are f16
// [n_blocks, n_kv_heads, block_len, n_groups(head_dim)].
//
// If K is int8-channel, scales are f32 [n_blocks, n_kv_heads, head_dim], and the rows of open blocks are in f32 in
// open_keys. OpenBlocks (ops/open_blocks.h) says which blocks are open, and has the shape.
//
// The windowed layers may have a different number of blocks (CacheSpec::windowed).
//
// K and V may have different types. There is one allocation, the arena. It holds K of layer 0, V of layer 0,
// K of layer 1, …, each followed by its scales and open rows. Each of these parts begins at a multiple of kAlignment
// bytes from the start of the arena.
#pragma once

#include "cache/kv_cache.h"
#include "core/tensor.h"
#include "cost/op_cost.h"
#include "ops/open_blocks.h"
#include "ops/site.h"

namespace lastrow {

class KvStorage {
 public:
  static constexpr int64_t kAlignment = 256;  // as cudaMalloc aligns

  /// `stored`: the types that the backend stores for spec.dtypes(). Only the double-precision judge stores
  /// another type, f64 for f32. Throws CapacityError if there is not enough memory.
  KvStorage(const CacheSpec& spec, Memory& memory, KvDtypes stored)
      : spec_(spec),
        k_{part_of(spec, 0, stored.k), part_of(spec, 1, stored.k)},
        v_{part_of(spec, 0, stored.v), part_of(spec, 1, stored.v)},
        arena_(memory, DType::u8, {arena_bytes()}),
        open_blocks_(spec) {}

  const CacheSpec& spec() const { return spec_; }
  /// K or V of one layer, in the stored type.
  TensorView rows(int32_t layer, RowKind kind) {
    return {place(arena_.view(), layer, kind).raw(), dtype(kind), rows_shape(layer, kind)};
  }
  ConstTensorView rows(int32_t layer, RowKind kind) const {
    return {place(arena_.view(), layer, kind).raw(), dtype(kind), rows_shape(layer, kind)};
  }
  /// Empty if the stored type has no scales.
  TensorView scales(int32_t layer, RowKind kind) {
    const Part& part = of(layer, kind);
    if (part.scales_bytes == 0) return {};
    return {scales_in(place(arena_.view(), layer, kind), part).raw(), scales_dtype(kind),
            scales_shape(layer, kind)};
  }
  ConstTensorView scales(int32_t layer, RowKind kind) const {
    const Part& part = of(layer, kind);
    if (part.scales_bytes == 0) return {};
    return {scales_in(place(arena_.view(), layer, kind), part).raw(), scales_dtype(kind),
            scales_shape(layer, kind)};
  }
  // ---- only if K has scales for channels
  bool has_open_blocks() const { return open_blocks_.exist(); }
  OpenBlocks& open_blocks() { return open_blocks_; }
  const OpenBlocks& open_blocks() const { return open_blocks_; }
  /// The K rows of open blocks of one layer, f32.
  TensorView open_keys(int32_t layer) {
    return {open_keys_in(place(arena_.view(), layer, RowKind::k)).raw(), DType::f32, open_blocks_.shape()};
  }
  ConstTensorView open_keys(int32_t layer) const {
    return {open_keys_in(place(arena_.view(), layer, RowKind::k)).raw(), DType::f32, open_blocks_.shape()};
  }
  /// Bytes of all rows of open blocks, in all layers.
  int64_t open_bytes() const { return spec_.n_layers * OpenBlocks::layer_bytes(spec_); }

  /// Bytes of a stored element, and of the scales of a row.
  cost::RowFormat row_format(RowKind kind) const {
    const DType type = dtype(kind);
    return {.elem_bytes = static_cast<int64_t>(size_of(type)),
            .scale_bytes = scale_bytes(type),
            .n_in_elem = numbers_in(type),
            .group = has_groups(type) ? kScaleGroup : 0};
  }
  /// As an append writes a row: in f32 where the block is still open.
  cost::RowFormat appended_format(RowKind kind) const {
    return kind == RowKind::k && has_open_blocks() ? cost::RowFormat{} : row_format(kind);
  }
  /// What an append writes of one token, in all layers and heads.
  int64_t appended_token_bytes() const {
    const auto row = [&](RowKind kind) { return appended_format(kind).row_bytes(spec_.head_dim); };
    return int64_t{spec_.n_layers} * spec_.n_kv_heads * (row(RowKind::k) + row(RowKind::v));
  }
  /// K, V and scales of one token in all layers and heads: 2 · n_layers · n_kv_heads rows, without padding. If K has
  /// scales for channels: when its block is sealed, with its share of the block's scales, rounded up.
  int64_t token_bytes() const {
    const int64_t scales_of_block = spec_.n_layers * spec_.n_kv_heads * spec_.channel_scales_bytes();
    return spec_.n_layers * layer_token_bytes() + (scales_of_block + spec_.block_len - 1) / spec_.block_len;
  }
  /// The same of one block, in the layers of one group (CacheSpec::group).
  int64_t block_bytes(int32_t group) const {
    return spec_.n_layers_in(group) *
           (int64_t{spec_.block_len} * layer_token_bytes() + spec_.n_kv_heads * spec_.channel_scales_bytes());
  }
  /// The size of the allocation: K, V and scales of all layers, and padding for the alignment. Each of these
  /// parts has less than kAlignment bytes of padding, and none if its size is a multiple of kAlignment.
  int64_t bytes() const { return arena_.size_bytes(); }

 private:
  int64_t layer_token_bytes() const {
    const auto row = [&](RowKind kind) { return row_format(kind).row_bytes(spec_.head_dim); };
    return spec_.n_kv_heads * (row(RowKind::k) + row(RowKind::v));
  }

  /// K or V of one layer: its type, and the bytes of its rows, of its scales and of the rows of open blocks.
  struct Part {
    DType dtype;
    int64_t rows_bytes, scales_bytes, open_bytes;
    int64_t bytes() const { return rows_bytes + scales_bytes + open_bytes; }
  };
  static Part part_of(const CacheSpec& spec, int32_t group, DType dtype) {
    const int64_t n_rows =
        int64_t{group == 1 ? spec.windowed.n_blocks : spec.n_blocks} * spec.block_len * spec.n_kv_heads;
    const int64_t scales_bytes = n_scales(dtype, spec.head_dim) * scale_bytes(dtype);
    const bool per_channel = has_channel_scales(dtype);
    return {dtype, aligned(n_rows * (stored_row_bytes(dtype, spec.head_dim) - scales_bytes)),
            aligned(per_channel ? spec.n_blocks * spec.n_kv_heads * spec.channel_scales_bytes()
                                : n_rows * scales_bytes),
            per_channel ? aligned(OpenBlocks::layer_bytes(spec)) : 0};
  }
  DType dtype(RowKind kind) const { return (kind == RowKind::k ? k_ : v_)[0].dtype; }
  const Part& of(int32_t layer, RowKind kind) const {
    return (kind == RowKind::k ? k_ : v_)[spec_.group_of(layer)];
  }
  int64_t layer_bytes(int32_t group) const { return k_[group].bytes() + v_[group].bytes(); }
  /// The bytes of the layers before this one.
  int64_t bytes_before(int32_t layer) const {
    const int64_t n_windowed = spec_.windowed.count(layer);
    return (layer - n_windowed) * layer_bytes(0) + n_windowed * layer_bytes(1);
  }

  static constexpr int64_t aligned(int64_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }
  int64_t arena_bytes() const {
    constexpr int64_t kMost = int64_t{1} << 60;  // fits int64 even after widening and alignment
    if (spec_.bytes() > kMost)
      throw CapacityError("a K/V cache of {} bytes is too large for any machine: use a smaller context",
                          spec_.bytes());
    return bytes_before(spec_.n_layers);
  }
  Shape rows_shape(int32_t layer, RowKind kind) const {
    return {spec_.n_blocks_of(layer), spec_.n_kv_heads, spec_.block_len,
            spec_.head_dim / numbers_in(dtype(kind))};
  }
  DType scales_dtype(RowKind kind) const { return has_groups(dtype(kind)) ? DType::f16 : DType::f32; }
  Shape scales_shape(int32_t layer, RowKind kind) const {
    const int32_t n_blocks = spec_.n_blocks_of(layer);
    if (has_channel_scales(dtype(kind))) return {n_blocks, spec_.n_kv_heads, spec_.head_dim};
    if (!has_groups(dtype(kind))) return {n_blocks, spec_.n_kv_heads, spec_.block_len};
    return {n_blocks, spec_.n_kv_heads, spec_.block_len, n_groups(spec_.head_dim)};
  }
  /// The part of the arena that holds K or V of one layer: its rows, then its scales. scales_in returns the
  /// scales of such a part.
  template <typename View>
  View place(View arena, int32_t layer, RowKind kind) const {
    LASTROW_CHECK(layer >= 0 && layer < spec_.n_layers, "layer {} of {}", layer, spec_.n_layers);
    const int64_t before = bytes_before(layer) + (kind == RowKind::v ? of(layer, RowKind::k).bytes() : 0);
    return arena.rows(before, of(layer, kind).bytes());
  }
  template <typename View>
  View scales_in(View place, const Part& part) const {
    return place.rows(part.rows_bytes, part.scales_bytes);
  }

  template <typename View>
  View open_keys_in(View place) const {
    const Part& part = k_[0];
    return place.rows(part.rows_bytes + part.scales_bytes, part.open_bytes);
  }

  CacheSpec spec_;
  Part k_[2], v_[2];  // of a layer, by group
  Tensor arena_;      // u8
  OpenBlocks open_blocks_;
};

/// Throws ShapeError unless the storage has the layer of this site.
void require_layer(Site site, const KvStorage& storage);
/// Throws ShapeError unless the scratch for rotated keys has the slots of a layer of the storage:
/// [n_blocks, n_kv_heads, block_len, head_dim].
void require_rotated(ConstTensorView keys, const KvStorage& storage);

}  // namespace lastrow
