// A walk through the block table of one sequence in equal steps, without a division for each row.
//
//   PageCursor cursor(block_len, s, step);    two divisions by block_len, once
//   cursor.entry, cursor.place                index s: which entry of the table, which place in that block
//   cursor.advance();                         index s + step: two additions, at most one correction
//
// Any block_len ≥ 1, smaller or larger than the step. The same places as cache/index.h's slot_of, in the two
// parts that its row_in takes.
#pragma once

#include "cache/index.h"

namespace lastrow {

struct PageCursor {
  LASTROW_HD constexpr PageCursor(int32_t block_len_, int32_t s, int32_t step)
      : entry(s / block_len_),
        place(s % block_len_),
        block_len(block_len_),
        step_entries(step / block_len_),
        step_places(step % block_len_) {}

  LASTROW_HD constexpr void advance() {
    entry += step_entries;
    place += step_places;
    if (place < block_len) return;
    place -= block_len;
    ++entry;
  }

  int32_t entry, place;
  int32_t block_len, step_entries, step_places;
};

}  // namespace lastrow
