// From an index in a sequence to a place in storage. No other file does this arithmetic.
//
//   slot   = slot_of(table, index)            index s of a sequence → slot, by its block table
//   offset = row_offset(layout, slot, g)      slot and K/V head → offset of a row, in elements
//   offset = scale_offset(layout, slot, g)    the same → offset of the row's scale, if rows have one
//   offset = row_in(layout, block, place, g)  the same as scale_offset, for a slot given as block and place
//
// Three words say where a row is. Do not mix them:
//   position   the token's number in the text. RoPE and ALiBi use it, unless StepPlan has new_positions
//   index      the order within the sequence's cache
//   slot       the place in storage: block · block_len + place in block
//
// A window cache keeps the sinks, the first rows of a sequence, and a ring of blocks for the window. Its
// table lists the blocks in the order of their indices: those of the sinks, then the ring from its oldest
// block on. That block may have forgotten its first rows, so the ring begins at the place `first` in it. In
// other tables sinks and first are 0, and index s is at place s of the table.
//
//   place = place_in_table(table, index)      index s → place, counted through all blocks of the table
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
  int32_t sinks = 0;  // the indices [0, sinks) have ⌈sinks / block_len⌉ blocks of their own
  int32_t first = 0;  // the place of index `sinks` in its block; below block_len
};

/// The sizes that place a row within the storage of one layer.
struct RowLayout {
  int32_t n_kv_heads;
  int32_t block_len;
  int32_t head_dim;
};

/// The two steps of slot_of, for kernels that load the entry of the block table themselves: first the entry
/// that holds a place, then the slot, from the block in that entry.
LASTROW_HD constexpr int32_t entry_of(int32_t block_len, int32_t place) { return place / block_len; }
LASTROW_HD constexpr int64_t slot_in(int32_t block, int32_t block_len, int32_t place) {
  return int64_t{block} * block_len + place % block_len;
}

/// place − index, for an index ≥ sinks: places without a row are the rest of the last sink block, and `first`.
LASTROW_HD constexpr int32_t places_skipped(int32_t block_len, int32_t sinks, int32_t first) {
  return (sinks + block_len - 1) / block_len * block_len - sinks + first;
}
LASTROW_HD constexpr int32_t place_in_table(BlockTable table, int32_t index) {
  return index < table.sinks ? index : index + places_skipped(table.block_len, table.sinks, table.first);
}

LASTROW_HD constexpr int64_t slot_of(BlockTable table, int32_t index) {
  const int32_t place = place_in_table(table, index);
  return slot_in(table.blocks[entry_of(table.block_len, place)], table.block_len, place);
}

/// How many entries of the table hold the indices [0, n).
LASTROW_HD constexpr int32_t entries_used(BlockTable table, int32_t n) {
  return n == 0 ? 0 : entry_of(table.block_len, place_in_table(table, n - 1)) + 1;
}

/// How many of the indices index, index + 1, … have slots that follow each other in one block.
LASTROW_HD constexpr int32_t run_from(BlockTable table, int32_t index) {
  const int32_t in_block = table.block_len - place_in_table(table, index) % table.block_len;
  return index < table.sinks && table.sinks - index < in_block ? table.sinks - index : in_block;
}

/// The offset of a scale in [n_blocks, n_kv_heads, block_len]. Times head_dim, it is the offset of the row.
LASTROW_HD constexpr int64_t row_in(RowLayout layout, int64_t block, int64_t place, int32_t g) {
  return (block * layout.n_kv_heads + g) * layout.block_len + place;
}

LASTROW_HD constexpr int64_t scale_offset(RowLayout layout, int64_t slot, int32_t g) {
  return row_in(layout, slot / layout.block_len, slot % layout.block_len, g);
}

/// Where the scales of the channels of a block begin, in [n_blocks, n_kv_heads, head_dim].
LASTROW_HD constexpr int64_t channel_scales_offset(RowLayout layout, int64_t block, int32_t g) {
  return (block * layout.n_kv_heads + g) * layout.head_dim;
}

LASTROW_HD constexpr int64_t row_offset(RowLayout layout, int64_t slot, int32_t g) {
  return scale_offset(layout, slot, g) * layout.head_dim;
}

}  // namespace lastrow
