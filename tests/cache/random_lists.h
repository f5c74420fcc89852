// Random lists of operations for RapidCheck, on caches with random sizes.
//
//   CHECK(report(100, 2500, random_config, operations(), [&](config, list) { … }) == "");
//
// LASTROW_SEED=7 gives other lists.
#pragma once

#include <rapidcheck.h>
#include <rapidcheck/detail/TestListenerAdapter.h>

#include <cstdint>
#include <cstdlib>
#include <ostream>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

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

inline int64_t from_environment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

/// Calls the property with `n_caches` random caches, each with a random list of about `n_each` operations.
/// Returns RapidCheck's report if it fails for one of them, with the shortest list it could find.
template <typename Config, typename Operation, typename Property>
std::string report(int n_caches, int n_each, Config random_config(Random&),
                   const rc::Gen<Operation>& operations, const Property& property) {
  rc::detail::TestParams params;
  params.seed = static_cast<uint64_t>(from_environment("LASTROW_SEED", 1));
  params.maxSuccess = n_caches;
  const auto caches = rc::gen::map(rc::gen::inRange<uint64_t>(0, 1000000), [random_config](uint64_t seed) {
    Random random(seed);
    return random_config(random);
  });
  // RapidCheck makes lists of up to `size` elements. The size grows from 0 to 100 over the run.
  const auto lists = rc::gen::scale(n_each / 50.0, rc::gen::container<std::vector<Operation>>(operations));
  // All arguments are given, because RapidCheck prints a line about the environment where one is missing.
  rc::detail::TestListenerAdapter quiet;
  const auto result =
      rc::detail::checkTestable([&] { property(*caches, *lists); }, rc::detail::TestMetadata(), params, quiet,
                                std::unordered_map<std::string, rc::detail::Reproduce>());
  std::ostringstream out;
  if (!result.template is<rc::detail::SuccessResult>()) rc::detail::printResultMessage(result, out);
  return out.str();
}

}  // namespace lastrow::testing
