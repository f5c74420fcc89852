#include "lessons/exercises/exercises.h"

namespace lastrow::exercises {

RowsNeeded rows_needed(int32_t n_layers, int32_t layer, int32_t n_tokens, int32_t n_cached) {
  const RowRange fresh = {n_cached, n_tokens};
  return {.q = layer == n_layers - 1 ? RowRange{n_tokens - 1, n_tokens} : fresh, .k = fresh, .v = fresh};
}

}  // namespace lastrow::exercises
