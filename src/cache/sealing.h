// When a block of K is sealed, if K has a scale for each channel of a block (cache/kv_channels.h).
//
//   const Sealing sealing{.block_len = 16, .longest_step = 16};
//   sealing.n_sealed(length)                   how many blocks of a sequence, from the first on, are sealed
//   sealing.n_open()                           open blocks that a sequence needs
//   sealing.open_block(sequence, place)        where the rows of a block are until it is sealed
//
// New rows of K stay in f32, in an *open block*, while V goes to its place at once. The step that brings a sequence
// to `length` rows seals every full block that lies at least longest_step rows behind the end. It reads the rows
// in f32 once more; later steps read the codes. So the queries of a step see its own rows in f32. After a step, the
// last longest_step rows are still in f32. The longest step decides when a block is sealed. So a text that is fed in
// chunks of another length may get other bits.
//
//   block_len 4, longest_step 4, one token a step   (f: row in f32, #: row in int8)
//   length 8    ffff ffff             step 8 seals block 0, so from the next step on
//   length 9    #### ffff f
//
// Invariant: which blocks are sealed follows from the length alone. So truncate can only go back to a length with the
// same sealed blocks, or to 0. The open blocks of a sequence are a ring: two of its blocks that are open in one step
// never share one.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lastrow {

struct Sealing {
  int32_t block_len = 0;
  int32_t longest_step = 0;  // tokens of a sequence that a step feeds at most

  /// Blocks of a sequence of this length that the next step reads as codes.
  int32_t n_sealed(int32_t length) const { return std::max(0, length - longest_step) / block_len; }
  /// Open blocks that a sequence needs: for its rows that are not sealed, and for a step of longest_step tokens.
  int32_t n_open() const {
    return static_cast<int32_t>((2 * int64_t{longest_step} + 2 * int64_t{block_len} - 2) / block_len);
  }
  int32_t open_block(int32_t sequence, int32_t place) const { return sequence * n_open() + place % n_open(); }
};

}  // namespace lastrow
