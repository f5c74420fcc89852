// From an index in a sequence to a place in storage. No other file does this arithmetic.
//
//   slot   = slot_of(table, index)            index s of a sequence → slot, by its block table
//   offset = row_offset(layout, slot, g)      slot and K/V head → offset of a row, in elements
//   offset = scale_offset(layout, slot, g)    the same → offset of the row's scale, if rows have one
//   offset = row_in(layout, block, place, g)  the same as scale_offset, for a slot given as block and place
//
// Three words say where a row is. Do not mix them:
//   position   the token's number in the text: RoPE angle and mask
//   index      the order within the sequence's cache
//   slot       the place in storage: block · block_len + place in block
//
// Storage of K or of V of one layer is [n_blocks, n_kv_heads, block_len, head_dim], its scales are
// [n_blocks, n_kv_heads, block_len]. Both host and device call these functions.
// Source of the idea: paged attention, Kwon et al. 2023.
#pragma once

#include <cstdint>

#include "core/host_device.h"

namespace lastrow {

/// The blocks of one sequence, in order of their indices.
struct BlockTable {
  const int32_t* blocks;  // [n_blocks]
  int32_t n_blocks;
  int32_t block_len;  // indices that a block holds
};

/// The sizes that place a row within the storage of one layer.
struct RowLayout {
  int32_t n_kv_heads;
  int32_t block_len;
  int32_t head_dim;
};

/// The two steps of slot_of, for kernels that load the entry of the block table themselves: first the entry
/// that holds an index, then the slot, from the block in that entry.
LASTROW_HD constexpr int32_t entry_of(int32_t block_len, int32_t index) { return index / block_len; }
LASTROW_HD constexpr int64_t slot_in(int32_t block, int32_t block_len, int32_t index) {
  return int64_t{block} * block_len + index % block_len;
}

LASTROW_HD constexpr int64_t slot_of(BlockTable table, int32_t index) {
  return slot_in(table.blocks[entry_of(table.block_len, index)], table.block_len, index);
}

/// The offset of a scale in [n_blocks, n_kv_heads, block_len]. Times head_dim, it is the offset of the row.
LASTROW_HD constexpr int64_t row_in(RowLayout layout, int64_t block, int64_t place, int32_t g) {
  return (block * layout.n_kv_heads + g) * layout.block_len + place;
}

LASTROW_HD constexpr int64_t scale_offset(RowLayout layout, int64_t slot, int32_t g) {
  return row_in(layout, slot / layout.block_len, slot % layout.block_len, g);
}

LASTROW_HD constexpr int64_t row_offset(RowLayout layout, int64_t slot, int32_t g) {
  return scale_offset(layout, slot, g) * layout.head_dim;
}

}  // namespace lastrow
