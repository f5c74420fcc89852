// Where the rows of a tile lie, asked of the block table a tile ahead of their loads.
//
//   TilePlaces next;  next.fetch<Rows>(o, part, s, cursor);      of the tile, s being
//                                                                 this group's first row of it
//   … places = next;  next.fetch<Rows>(…);                        waited for in the next round
//   row_in(o.layout, places.r_block[j], places.r_place[j], g)    the group's row j of the tile
//
// A row that is not seen has no entry of the table read for it; its block is 0.
#pragma once

#include "gpu/kernels/page_cursor.h"
#include "gpu/kernels/split_kv.h"

namespace lastrow::LASTROW_TARGET {

/// Of one tile, for one group of lanes (lane_rows.h).
struct TilePlaces {
  int32_t r_block[kRowsAhead], r_place[kRowsAhead];
  bool seen[kRowsAhead];

  template <typename Rows, typename KV>
  __device__ void fetch(const AttendOperands<KV>& o, const Part& part, int32_t s, PageCursor& cursor) {
    for (int32_t j = 0; j < kRowsAhead; ++j, s += Rows::kStride, cursor.advance()) {
      seen[j] = s >= part.begin && s < part.end;
      r_place[j] = cursor.place;
      r_block[j] = 0;
      if (seen[j])
        r_block[j] = o.g_block_tables.load(int64_t{part.sequence} * o.blocks_per_seq + cursor.entry);
    }
  }
};

}  // namespace lastrow::LASTROW_TARGET
