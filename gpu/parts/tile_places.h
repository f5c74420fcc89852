// Looks up where the rows of a tile lie, one tile before they are loaded.
//
//   TilePlaces<Rows> places(o, part);       reads the block table for the first tile
//   loop over tiles:
//     places.take(o, part, r_row); r_row[j]: the group's row j of the tile, counted in rows as row_in
//                                           does; −1: not seen. Then reads the table for the next tile
//
// Lane l of a group (lane_rows.h) looks up row l % kRowsAhead, and a shuffle gives it to the other lanes. So
// each lane does one walk through the table and the arithmetic of one row, not of kRowsAhead rows. The table
// is not read for a row that is not seen. Rows are counted in 32 bits (too_many_rows).
#pragma once

#include "gpu/parts/split_kv.h"

namespace lastrow::LASTROW_TARGET {

template <typename Rows>
class TilePlaces {
 public:
  template <typename KV>
  __device__ TilePlaces(const AttendOperands<KV>& o, const Part& part)
      : s_(part.first_tile + Rows::row() + own_row() * Rows::kStride),
        cursor_(o.layout.block_len, s_ + skipped_at(o, part.sequence, part.begin), Rows::kTileKeys) {
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

  int32_t s_;  // the lane's key in the tile that take() returns next
  PageCursor cursor_;
  int32_t block_;  // of key s_; −1: not seen
};

}  // namespace lastrow::LASTROW_TARGET
