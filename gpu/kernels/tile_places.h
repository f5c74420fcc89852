// Where the rows of a tile lie, asked of the block table a tile ahead of their loads.
//
//   TilePlaces<Rows> places(o, part);       asks for those of the first tile
//   loop over tiles:
//     places.take(o, part, r_row);          r_row[j]: the group's row j of the tile, counted as row_in counts
//                                           rows; −1: not seen. Asks for those of the next tile
//
// Lane l of a group (lane_rows.h) knows the place of row l % kRowsAhead, and hands it round by a shuffle: one
// walk through the table and one row's arithmetic for each lane, not kRowsAhead. A row that is not seen has
// no entry of the table read for it. Rows are counted in 32 bits (too_many_rows).
#pragma once

#include "gpu/kernels/page_cursor.h"
#include "gpu/kernels/split_kv.h"

namespace lastrow::LASTROW_TARGET {

template <typename Rows>
class TilePlaces {
 public:
  template <typename KV>
  __device__ TilePlaces(const AttendOperands<KV>& o, const Part& part)
      : s_(part.first_tile + Rows::row() + own_row() * Rows::kStride),
        cursor_(o.layout.block_len, s_, Rows::kTileKeys) {
    fetch(o, part);
  }

  template <typename KV>
  __device__ void take(const AttendOperands<KV>& o, const Part& part, int32_t (&r_row)[kRowsAhead]) {
    const auto mine = static_cast<int32_t>(row_in(o.layout, block_, cursor_.place, part.g));
    for (int32_t j = 0; j < kRowsAhead; ++j)
      r_row[j] = __shfl_sync(kAllLanes, block_ < 0 ? -1 : mine, j, Rows::kLanes);
    s_ += Rows::kTileKeys;
    cursor_.advance();
    fetch(o, part);
  }

 private:
  __device__ static int32_t own_row() {
    static_assert(Rows::kLanes >= kRowsAhead);
    return static_cast<int32_t>(threadIdx.x) % kRowsAhead;
  }
  template <typename KV>
  __device__ void fetch(const AttendOperands<KV>& o, const Part& part) {
    block_ = -1;
    if (s_ >= part.begin && s_ < part.end)
      block_ = o.g_block_tables.load(int64_t{part.sequence} * o.blocks_per_seq + cursor_.entry);
  }

  int32_t s_;  // the lane's key of the tile to be taken next
  PageCursor cursor_;
  int32_t block_;  // of key s_; −1: not seen
};

}  // namespace lastrow::LASTROW_TARGET
