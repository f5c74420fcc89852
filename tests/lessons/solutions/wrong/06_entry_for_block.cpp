// Does not read the table.
// Told: index 0, head 0: element 0 (block 0, head 0, place 0), expected 20 (block 5, head 0, place 0)
// Told: The number of the entry is not the block
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// blocks   [n_blocks of the sequence]   blocks[0] holds indices 0 … block_len − 1, and so on
/// storage  [blocks, n_kv_heads, block_len, head_dim]
int64_t element_of(const int32_t* blocks, int32_t block_len, int32_t n_kv_heads, int32_t head_dim,
                   int32_t index, int32_t g) {
  const int64_t block = index / block_len;
  const int64_t place = index % block_len;
  return ((block * n_kv_heads + g) * block_len + place) * head_dim;
}

}  // namespace lastrow::exercises
