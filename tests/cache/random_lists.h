// Random lists of operations for RapidCheck, on caches with random sizes.
//
//   CHECK(report(100, 2500, random_config, operations(), [&](config, list) { … }) == "");
//
// LASTROW_SEED=7 gives other lists.
#pragma once

#include <rapidcheck.h>

#include <cstdint>
#include <ostream>
#include <string>

#include "cache/property_report.h"
#include "cache/random_cache.h"
#include "core/random.h"

namespace lastrow::testing {

inline std::ostream& operator<<(std::ostream& out, const Operation& o) {
  static constexpr const char* kNames[] = {"append", "step_all", "start",  "adopt", "fork", "truncate",
                                           "reset",  "abort",    "refuse", "save",  "undo"};
  return out << "{" << kNames[static_cast<int>(o.action)] << ", who " << o.who << ", amount " << o.amount
             << ", tokens " << o.tokens << ", fail " << o.fail << "}";
}

/// Shrinks towards an append of nothing to sequence 0.
inline rc::Gen<Operation> operations() {
  const auto bits = [](uint32_t n) { return rc::gen::inRange<uint32_t>(0, 1u << n); };
  return rc::gen::apply(
      [](uint32_t action, uint32_t choices, uint32_t tokens) {
        return Operation{.action = kUsualActions[action],
                         .who = choices & 0xFF,
                         .amount = choices >> 8 & 0xFF,
                         .tokens = tokens & (tokens >> 7 | 1),
                         .fail = (choices >> 16 & 7) == 0 ? choices >> 19 : 0};
      },
      bits(4), bits(21), bits(30));
}

/// property_report with `n_caches` random configs.
template <typename Config, typename Operation, typename Property>
std::string report(int n_caches, int n_each, Config random_config(Random&),
                   const rc::Gen<Operation>& operations, const Property& property) {
  const auto caches = rc::gen::map(rc::gen::inRange<uint64_t>(0, 1000000), [random_config](uint64_t seed) {
    Random random(seed);
    return random_config(random);
  });
  return property_report(n_caches, n_each, caches, operations, property);
}

}  // namespace lastrow::testing
