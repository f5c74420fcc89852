// Exercise 06: the block table.
//
// Task      A paged cache gives a sequence blocks of block_len indices each. They may be anywhere in storage;
//           the block table lists them. Where does the row of an index begin? Go index → slot → element: a
//           slot is the place of one token in storage, block · block_len + place in the block.
// Lesson    11 (the plan of a step); src/cache/index.h
// Tests     blocks 5, 2 and 7 of 4 indices each; then other heads, head_dims and block lengths, and a cache
//           of more than 2^31 elements
//
//   lessons/check 06
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// blocks   [n_blocks of the sequence]   blocks[0] holds indices 0 … block_len − 1, and so on
/// storage  [blocks, n_kv_heads, block_len, head_dim]
int64_t element_of(const int32_t* blocks, int32_t block_len, int32_t n_kv_heads, int32_t head_dim,
                   int32_t index, int32_t g) {
  // Your turn: which block, and which place in it? Now it is always the first place of the first block.
  const int64_t block = blocks[0];
  const int64_t place = 0;
  return ((block * n_kv_heads + g) * block_len + place) * head_dim;
}

}  // namespace lastrow::exercises
