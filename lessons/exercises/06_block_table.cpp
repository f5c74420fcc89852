// Exercise 06: the block table.
//
// Asked     A paged cache gives a sequence blocks of block_len indices each, from anywhere in storage; its
//           block table says which. Where does the row of an index begin? Index → slot → element: a slot is
//           a place in storage that holds one token, block · block_len + place in the block.
// Met in    lesson 11 (the plan of a step); src/cache/index.h
// Tried     blocks 5, 2 and 7 of 4 indices each, by eye; then heads, head_dims, blocks of 1 and of 16, and
//           a cache of more than 2^31 elements
//
//   lessons/check 06
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// blocks   [n_blocks of the sequence]   blocks[0] holds indices 0 … block_len − 1, and so on
/// storage  [blocks, n_kv_heads, block_len, head_dim]
int64_t element_of(const int32_t* blocks, int32_t block_len, int32_t n_kv_heads, int32_t head_dim,
                   int32_t index, int32_t g) {
  // Your turn: which block, and which place in it? Now the first place of the first block.
  const int64_t block = blocks[0];
  const int64_t place = 0;
  return ((block * n_kv_heads + g) * block_len + place) * head_dim;
}

}  // namespace lastrow::exercises
