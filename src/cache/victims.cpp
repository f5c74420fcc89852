#include "cache/victims.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"

namespace lastrow {

namespace {

int32_t least_mass(std::span<const HeldRow> rows) {
  return static_cast<int32_t>(std::ranges::min_element(rows, {}, &HeldRow::mass) - rows.begin());
}

}  // namespace

int32_t VictimRule::victim(std::span<const HeldRow> rows, int32_t n_evicted) const {
  const auto n = static_cast<int32_t>(rows.size());
  LASTROW_CHECK(n > budget && n > 1, "a victim of {} rows with a budget of {}", n, budget);
  switch (eviction) {
    case Eviction::oldest:
      return 0;
    case Eviction::sinks:
      return sinks;
    case Eviction::heavy:
      return least_mass(rows.first(static_cast<size_t>(n - n_recent())));
    case Eviction::random: {
      Random random(seed);
      random.seek(2 * static_cast<uint64_t>(n_evicted));  // below() takes two words
      return static_cast<int32_t>(random.below(n - 1));
    }
  }
  LASTROW_CHECK(false, "eviction {}", static_cast<int>(eviction));
}

}  // namespace lastrow
