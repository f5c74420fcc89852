// Walks through the block table of one sequence in equal steps, without a division per row.
//
//   PageCursor cursor(block_len, s, step);    two divisions by block_len, once
//   cursor.entry, cursor.place                index s: the table's entry, the place in its block
//   cursor.advance();                         index s + step: two additions, at most one correction
//
// block_len may be any length ≥ 1, shorter or longer than the step. The places are those of slot_of in
// cache/index.h, in the two parts that its row_in takes.
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
