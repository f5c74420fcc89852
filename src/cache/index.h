// From an index in a sequence to a place in storage. No other file does this arithmetic.
//
//   slot   = slot_of(table, index)            index s of a sequence → slot, by its block table
//   offset = row_offset(layout, slot, g)      slot and K/V head → offset of a row, in elements
//   offset = scale_offset(layout, slot, g)    the same → offset of the row's scale, if rows have one
//   offset = row_in(layout, block, place, g)  as scale_offset, for a slot given as block and place
//
// Three words for "where", never mixed: *position* (RoPE angle and mask), *index* (order within the
// sequence's cache), *slot* (place in storage). Storage of K or of V of one layer is [n_blocks, n_kv_heads,
// block_len, head_dim], its scales [n_blocks, n_kv_heads, block_len]; slot = block · block_len + place in
// block. Host and device call these functions. Source of the idea: paged attention, Kwon et al. 2023.
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

/// How rows lie within the storage of one layer.
struct RowLayout {
  int32_t n_kv_heads;
  int32_t block_len;
  int32_t head_dim;
};

/// slot_of in two steps, for kernels that fetch the block table's entry themselves: the entry that an index
/// falls into, and the slot once the block in that entry is known.
LASTROW_HD constexpr int32_t entry_of(int32_t block_len, int32_t index) { return index / block_len; }
LASTROW_HD constexpr int64_t slot_in(int32_t block, int32_t block_len, int32_t index) {
  return int64_t{block} * block_len + index % block_len;
}

LASTROW_HD constexpr int64_t slot_of(BlockTable table, int32_t index) {
  return slot_in(table.blocks[entry_of(table.block_len, index)], table.block_len, index);
}

/// Offset into [n_blocks, n_kv_heads, block_len]: of a scale; times head_dim it is that of a row.
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
