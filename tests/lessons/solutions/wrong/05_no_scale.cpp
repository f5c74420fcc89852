// Told: int8 with a scale per row, fp8, int4 with a scale per 32 elements:
// Told: Each row of K and of V has its own scales
#include <algorithm>

#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

int64_t bytes_of_cache(const ModelShape& shape, int64_t context, int64_t batch, const CacheFormat& format) {
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < shape.n_layers; ++layer) {
    const int64_t window = shape.layer_window(layer);
    const int64_t tokens = window > 0 ? std::min(context, window) : context;
    const int64_t row_bytes = (shape.head_dim * format.elem_bits + 7) / 8;
    bytes += 2 * shape.n_kv_heads * tokens * batch * row_bytes;
  }
  return bytes;
}

}  // namespace lastrow::exercises
