// Exercise 05: the memory formula.
//
// Task      How many bytes does the cache of a model take? A row is the key (or the value) of one token in
//           one K/V head of one layer: head_dim elements of format.elem_bits bits each, rounded up to whole
//           bytes, and format.n_scales(head_dim) scales of format.scale_bytes each. A layer with a window
//           keeps at most shape.layer_window(layer) tokens (0: no window).
// Lesson    8
// Tests     Llama 2 7B with 2048 tokens, which is exactly 1 GiB in f16; then grouped heads, several
//           sequences, windows, int8 and int4 with their scales; then every model that `lastrow memory` knows
//
//   lessons/check 05
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

int64_t bytes_of_cache(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format) {
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    // Your turn: add the bytes of this layer. Now nothing is added.
  }
  return bytes;
}

}  // namespace lastrow::exercises
