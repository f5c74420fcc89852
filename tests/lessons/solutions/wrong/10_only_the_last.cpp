// Told: recompute, 3 layers: 3 layers, 4 tokens, 0 cached: layer 0, rows of q: 3, expected 0 … 3
// Told: From this row the next layer makes
#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

RowsNeeded rows_needed(int32_t n_layers, int32_t layer, int32_t n_tokens, int32_t n_cached) {
  const RowRange fresh = {n_cached, n_tokens};
  return {.q = {n_tokens - 1, n_tokens}, .k = fresh, .v = fresh};
}

}  // namespace lastrow::exercises
