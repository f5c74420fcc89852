#include "viewer/view_model/describe/held_rows.h"

#include <algorithm>

namespace lastrow::view {

int index_of(const std::vector<PlacedRow>& rows, int position) {
  const auto at = std::ranges::lower_bound(rows, position, {}, &PlacedRow::position);
  return at == rows.end() || at->position != position ? -1 : static_cast<int>(at - rows.begin());
}

bool was_evicted(const HeldRows& rows, int position) {
  return std::ranges::find(rows.evicted, position, &EvictedRow::position) != rows.evicted.end();
}

void to_positions(const float* by_index, int64_t n_rows, const std::vector<PlacedRow>& keys, int64_t n_tokens,
                  float elsewhere, float* to) {
  std::fill_n(to, n_rows * n_tokens, elsewhere);
  for (int64_t row = 0; row < n_rows; ++row)
    for (const PlacedRow& key : keys) to[row * n_tokens + key.position] = *by_index++;
}

}  // namespace lastrow::view
