// Random operations on paged caches, against a plain model. LASTROW_SEED=7 gives other ones. For a long run:
//   LASTROW_OPERATIONS=1000000000 LASTROW_SEED=1 build/bin/test_cache -tc="however long*"
// This command found no failure in 10⁹ operations. It took 16 minutes of processor time on one core, and 36
// minutes in all, because other programs used the machine too.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "cache/property_report.h"
#include "cache/random_cache.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace lastrow::testing {

std::ostream& operator<<(std::ostream& out, const CacheConfig& c) {
  return out << "{max_seq_len " << c.max_seq_len << ", block_len " << c.block_len << ", n_blocks "
             << c.n_blocks << ", n_seqs " << c.n_seqs << ", share " << c.share_prefixes << ", collide "
             << c.hashes_collide << "}";
}

std::ostream& operator<<(std::ostream& out, const Operation& o) {
  static constexpr const char* kNames[] = {"append", "step_all", "start",  "adopt", "fork", "truncate",
                                           "reset",  "abort",    "refuse", "save",  "undo"};
  return out << "{" << kNames[static_cast<int>(o.action)] << ", who " << o.who << ", amount " << o.amount
             << ", tokens " << o.tokens << ", fail " << o.fail << "}";
}

}  // namespace lastrow::testing

namespace {

/// Shrinks towards an append of nothing to sequence 0.
rc::Gen<Operation> operations() {
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

}  // namespace

/// Calls the property with `n_caches` random caches, each with a random list of about `n_each` operations.
template <typename Property>
std::string report(int n_caches, int n_each, const Property& property) {
  const auto caches = rc::gen::map(rc::gen::inRange<uint64_t>(0, 1000000), [](uint64_t seed) {
    Random random(seed);
    return random_config(random);
  });
  return property_report(n_caches, n_each, caches, operations(), property);
}

TEST_CASE("whatever is done, cache and model agree after every operation") {
  int64_t n_operations = 0, n_refused = 0, n_failed = 0;
  PrefixCounts counts;
  CHECK(report(100, 2500, [&](const CacheConfig& config, const std::vector<Operation>& list) {
          RandomCache cache(config);
          for (const Operation& operation : list) {
            cache.apply(operation);
            cache.compare();
          }
          n_operations += static_cast<int64_t>(list.size());
          n_refused += cache.n_refused();
          n_failed += cache.n_failed_allocations();
          counts.n_hits += cache.prefix_counts().n_hits;
          counts.blocks_evicted += cache.prefix_counts().blocks_evicted;
        }) == "");
  CHECK(n_operations >= 100000);
  CHECK(n_refused > 100);
  CHECK(n_failed > 10);
  CHECK(counts.n_hits > 100);
  CHECK(counts.blocks_evicted > 100);
}

TEST_CASE("however long it runs: random operations in a plain loop, compared every 1,000") {
  constexpr int64_t kEach = 20000, kCompare = 1000;  // operations of one cache, and between two comparisons
  const int64_t n_operations = from_environment("LASTROW_OPERATIONS", 100000);
  auto seed = static_cast<uint64_t>(from_environment("LASTROW_SEED", 1));
  const auto start = std::chrono::steady_clock::now();
  for (int64_t done = 0; done < n_operations; done += kEach, ++seed) {
    CAPTURE(seed);
    Random random(seed);
    RandomCache cache(random_config(random));
    const int64_t n = std::min(kEach, n_operations - done);
    int64_t i = 0;
    try {
      for (; i < n; ++i) {
        cache.apply(random_operation(random));
        if (i % kCompare == kCompare - 1 || i == n - 1) cache.compare();
      }
    } catch (const std::runtime_error& error) {
      FAIL("operation ", i, ": ", std::string(error.what()));
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  MESSAGE(n_operations, " operations in ", seconds.count(), " s");
}
