// Random operations on caches with a budget, against a plain model. LASTROW_SEED=7 gives other ones.
#include <doctest/doctest.h>

#include <ostream>
#include <vector>

#include "cache/budget_model.h"
#include "cache/random_lists.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace lastrow::testing {

std::ostream& operator<<(std::ostream& out, const BudgetConfig& c) {
  return out << "{eviction " << static_cast<int>(c.eviction) << ", budget " << c.budget << ", sinks "
             << c.sinks << ", max_seq_len " << c.max_seq_len << ", longest_step " << c.longest_step
             << ", n_seqs " << c.n_seqs << ", seed " << c.seed << "}";
}

std::ostream& operator<<(std::ostream& out, const BudgetOperation& o) {
  static constexpr const char* kNames[] = {"append", "step_all", "abort", "truncate",
                                           "reset",  "refuse",   "save",  "undo"};
  return out << "{" << kNames[static_cast<int>(o.action)] << ", who " << o.who << ", amount " << o.amount
             << ", mass " << o.mass << "}";
}

}  // namespace lastrow::testing

TEST_CASE("a cache with a budget and its model agree after each of 100,000 random operations") {
  const auto bits = [](uint32_t n) { return rc::gen::inRange<uint32_t>(0, 1u << n); };
  const auto actions = rc::gen::apply(
      [](uint32_t action, uint32_t who, uint32_t amount, uint32_t mass) {
        return BudgetOperation{kBudgetActions[action], who, amount, mass};
      },
      bits(4), bits(6), bits(7), bits(20));
  int64_t n_operations = 0, n_refused = 0, n_evicted = 0;
  CHECK(report(100, 2500, random_budget_config, actions,
               [&](const BudgetConfig& config, const std::vector<BudgetOperation>& list) {
                 RandomBudgetCache cache(config);
                 for (const BudgetOperation& operation : list) {
                   cache.apply(operation);
                   cache.compare();
                 }
                 n_operations += static_cast<int64_t>(list.size());
                 n_refused += cache.n_refused();
                 n_evicted += cache.n_evicted();
               }) == "");
  CHECK(n_operations >= 100000);
  CHECK(n_refused > 1000);
  CHECK(n_evicted > 10000);
}
