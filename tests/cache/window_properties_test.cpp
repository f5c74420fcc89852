// Random operations on window caches, against a plain model. LASTROW_SEED=7 gives other ones.
#include <doctest/doctest.h>

#include <ostream>

#include "cache/random_lists.h"
#include "cache/random_window.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace lastrow::testing {

std::ostream& operator<<(std::ostream& out, const WindowConfig& c) {
  return out << "{max_seq_len " << c.max_seq_len << ", block_len " << c.block_len << ", n_seqs " << c.n_seqs
             << ", window " << c.window << ", sinks " << c.sinks << ", longest_step " << c.longest_step
             << "}";
}

}  // namespace lastrow::testing

TEST_CASE("whatever is done, a window cache and its model agree after every operation") {
  int64_t n_operations = 0, n_refused = 0, n_failed = 0, n_forgotten = 0;
  CHECK(report(100, 2500, random_window, operations(),
               [&](const WindowConfig& config, const std::vector<Operation>& list) {
                 RandomWindow cache(config);
                 for (const Operation& operation : list) {
                   cache.apply(operation);
                   cache.compare();
                 }
                 n_operations += static_cast<int64_t>(list.size());
                 n_refused += cache.n_refused();
                 n_failed += cache.n_failed_allocations();
                 n_forgotten += cache.n_forgotten();
               }) == "");
  CHECK(n_operations >= 100000);
  CHECK(n_refused > 1000);
  CHECK(n_failed > 10);
  CHECK(n_forgotten > 1000);
}
