// Exercise 05: the memory formula.
//
// Asked     How many bytes does the cache of a model take? A row is what one token leaves in one K/V head of
//           one layer, as a key or as a value: head_dim elements of format.elem_bits bits each, rounded up to
//           whole bytes, and a scale of format.scale_bytes. A layer with a window keeps that many tokens at
//           most: shape.layer_window(layer), 0 where there is none.
// Met in    lesson 8
// Tried     Llama 2 7B at 2048 tokens, which is exactly 1 GiB in f16; then grouped heads, several sequences,
//           windows, int8 with its scales, int4; then every model that `lastrow memory` knows
//
//   lessons/check 05
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

int64_t bytes_of_cache(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format) {
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    // Your turn: add what this layer holds. Now it holds nothing.
  }
  return bytes;
}

}  // namespace lastrow::exercises
