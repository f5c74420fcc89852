// Which calls of a cache allocate: only its constructor, and a plan of an unusually large step. What happens
// if such an allocation fails.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <new>

#include "cache/allocations.h"
#include "cache/make_cache.h"
#include "cache/pages.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

const CacheSizes kSmallCache{.n_layers = 1, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 24, .n_seqs = 4};
const CacheOptions kContiguous{}, kPaged{.kind = "paged", .block_len = 4, .n_blocks = 12},
    kSharing{.kind = "paged", .block_len = 4, .n_blocks = 12, .share_prefix = true},
    kWindow{.kind = "window", .block_len = 4, .window = 6, .sinks = 2},
    kBudget{.kind = "budget", .sinks = 1, .budget = 6, .eviction = Eviction::sinks};

}  // namespace

TEST_CASE("no call of a cache allocates: decoding, copies of blocks, evictions, undo") {
  for (const CacheOptions& options : {kPaged, kSharing}) {
    CAPTURE(options.share_prefix);
    const auto cache = make_cache(options, kSmallCache), saved = make_cache(options, kSmallCache);
    const Ints prompt{1, 2, 3, 4, 5, 6}, token{7};
    const SequenceInput both[] = {{0, token, LogitRows::last}, {1, token, LogitRows::last}};
    CacheUsage used;
    const int64_t before = n_allocations();
    for (int32_t round = 0; round < 50; ++round) {
      const auto n_found = static_cast<size_t>(cache->adopt_prefix(0, prompt));
      const SequenceInput rest{0, std::span(prompt).subspan(n_found), LogitRows::last};
      cache->commit(cache->plan({&rest, 1}));
      cache->fork(0, 1);
      for (int32_t i = 0; i < 14; ++i) {
        saved->copy_from(*cache);
        cache->commit(cache->plan(both));
        if (i % 3 == 0) cache->copy_from(*saved);
        cache->abort(cache->plan(both));
      }
      used = cache->usage();
      cache->truncate(1, 3);
      cache->reset(0);
      cache->reset(1);
    }
    CHECK(n_allocations() == before);
    CHECK(used.blocks_shared == 1);
    if (options.share_prefix) CHECK(cache->prefix_counts().blocks_evicted > 50);
  }
  CHECK(n_allocations() > 0);  // the counter does count
}

TEST_CASE("a cache that cannot be made for lack of memory leaves nothing behind") {
  for (const CacheOptions& options : {kContiguous, kPaged, kSharing, kWindow, kBudget}) {
    CAPTURE(options.kind);
    int32_t n_failed = 0;
    for (bool is_made = false; !is_made;) {
      const int64_t held = n_held_allocations();
      {
        FailingAllocation failing(n_failed + 1);
        try {
          make_cache(options, kSmallCache);
          is_made = true;
        } catch (const std::bad_alloc&) {
          ++n_failed;
        }
      }
      CHECK(n_held_allocations() == held);
    }
    CHECK(n_failed >= 10);
  }
}

TEST_CASE("a plan that fails for lack of memory changes nothing, and works the next time") {
  for (const CacheOptions& options : {kContiguous, kPaged, kSharing, kWindow, kBudget}) {
    CAPTURE(options.kind);
    CacheOptions large = options;
    if (options.kind == "paged") large.n_blocks = 24;
    const auto cache = make_cache(large, kSmallCache), untouched = make_cache(large, kSmallCache);
    const Ints text(20, 1), start{1, 2};
    std::vector<SequenceInput> step;
    for (int32_t i = 0; i < kSmallCache.n_seqs; ++i) step.push_back({i, text, LogitRows::all});
    for (KvCache* c : {cache.get(), untouched.get()}) feed(*c, 0, start);
    int32_t n_failed = 0;
    const StepPlan* plan = nullptr;
    while (plan == nullptr) {
      FailingAllocation failing(n_failed + 1);
      try {
        plan = &cache->plan(step);
      } catch (const std::bad_alloc&) {
        ++n_failed;
      }
      if (plan == nullptr) CHECK(cache->usage() == untouched->usage());
    }
    const StepPlan& expected = untouched->plan(step);
    CHECK(plan->append_slots == expected.append_slots);
    CHECK(plan->block_tables == expected.block_tables);
    CHECK(plan->logit_rows == expected.logit_rows);
    CHECK(n_failed >= 4);
  }
}
