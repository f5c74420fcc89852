// Told: a cache of more than 2^31 elements: index 17, head 5
// Told: Do you compute everything in 64 bits?
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

/// blocks   [n_blocks of the sequence]   blocks[0] holds indices 0 … block_len − 1, and so on
/// storage  [blocks, n_kv_heads, block_len, head_dim]
int64_t element_of(const int32_t* blocks, int32_t block_len, int32_t n_kv_heads, int32_t head_dim,
                   int32_t index, int32_t g) {
  const uint32_t block = blocks[index / block_len];
  const uint32_t place = index % block_len;
  return static_cast<int32_t>(((block * static_cast<uint32_t>(n_kv_heads) + static_cast<uint32_t>(g)) *
                                   static_cast<uint32_t>(block_len) +
                               place) *
                              static_cast<uint32_t>(head_dim));
}

}  // namespace lastrow::exercises
