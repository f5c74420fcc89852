// Tests a property of caches with RapidCheck: random sizes, and random lists of operations.
//
//   CHECK(property_report(100, 2500, configs, operations, [&](const Config& config, const List& list) {
//           …throws if it does not hold…
//         }) == "");
#pragma once

#include <rapidcheck.h>
#include <rapidcheck/detail/TestListenerAdapter.h>

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

namespace lastrow::testing {

inline int64_t from_environment(const char* name, int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoll(text);
}

/// Calls the property with `n_caches` random configs, each with a random list of about `n_each` operations.
/// Returns RapidCheck's report if it fails for one of them, with the shortest list it could find.
/// LASTROW_SEED=7 gives other ones.
template <typename Config, typename Operation, typename Property>
std::string property_report(int n_caches, int n_each, const rc::Gen<Config>& configs,
                            const rc::Gen<Operation>& operations, const Property& property) {
  rc::detail::TestParams params;
  params.seed = static_cast<uint64_t>(from_environment("LASTROW_SEED", 1));
  params.maxSuccess = n_caches;
  // RapidCheck makes lists of up to `size` elements. The size grows from 0 to 100 over the run.
  const auto lists = rc::gen::scale(n_each / 50.0, rc::gen::container<std::vector<Operation>>(operations));
  // All arguments are given, because RapidCheck prints a line about the environment where one is missing.
  rc::detail::TestListenerAdapter quiet;
  const auto result =
      rc::detail::checkTestable([&] { property(*configs, *lists); }, rc::detail::TestMetadata(), params,
                                quiet, std::unordered_map<std::string, rc::detail::Reproduce>());
  std::ostringstream out;
  if (!result.template is<rc::detail::SuccessResult>()) rc::detail::printResultMessage(result, out);
  return out.str();
}

}  // namespace lastrow::testing
