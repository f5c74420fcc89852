#include "cache/alternating_cache.h"

#include <doctest/doctest.h>

#include <optional>

#include "cache/allocations.h"
#include "cache/pages.h"
#include "cache/slots.h"
#include "core/error.h"
#include "core/random.h"
#include "support/aborts.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

CacheOptions every(int32_t n, int32_t window, int32_t block_len) {
  return {.kind = "window", .block_len = block_len, .window = window, .windowed_every = n};
}

CacheSizes sizes_of_layers(int32_t n_layers, int32_t max_seq_len, int32_t longest_step, int32_t n_seqs = 1) {
  return {.n_layers = n_layers,
          .n_kv_heads = 1,
          .head_dim = 4,
          .max_seq_len = max_seq_len,
          .n_seqs = n_seqs,
          .longest_step = longest_step};
}

Ints positions_held(const KvCache& cache, int32_t sequence) {
  Ints all;
  for (int32_t i = 0; i < cache.length(sequence); ++i) all.push_back(cache.position_of(sequence, i));
  return all;
}

/// What a step reads and writes in the layers of one group.
void check_same(const StepPlan& plan, const StepPlan& alone) {
  CHECK(plan.tokens == alone.tokens);
  CHECK(plan.positions == alone.positions);
  CHECK(plan.kv_len == alone.kv_len);
  CHECK(plan.block_tables == alone.block_tables);
  CHECK(plan.append_slots == alone.append_slots);
  CHECK(plan.logit_rows == alone.logit_rows);
  CHECK(plan.table_first == alone.table_first);
  CHECK(plan.key_positions == alone.key_positions);
  CHECK(plan.window == alone.window);
}

}  // namespace

TEST_CASE("by eye: layer 0 keeps the last two rows of three, layer 1 keeps all") {
  const auto cache = make_cache(every(2, /*window=*/3, 1), sizes_of_layers(2, 10, 1));
  for (int32_t n = 0; n < 5; ++n) feed(*cache, 0, {n});
  CHECK(positions_held(cache->of_layer(0), 0) == Ints{3, 4});
  CHECK(positions_held(cache->of_layer(1), 0) == Ints{0, 1, 2, 3, 4});
  CHECK(cache->length(0) == 5);
  CHECK(cache->usage().rows_evicted == 3);
  CHECK(cache->evicted().size() == 1);
  CHECK(cache->evicted()[0].position == 2);
  const StepPlan& step = plan(*cache, 0, {5});
  CHECK(step.of_layer(0).kv_len == Ints{3});
  CHECK(step.of_layer(1).kv_len == Ints{6});
  CHECK(step.of_layer(-1).kv_len == Ints{6});  // operations outside the layers take the plan itself
}

TEST_CASE("the spec of each group, and their bytes") {
  const CacheSpec spec = cache_spec(every(3, 5, 2), sizes_of_layers(7, 20, 4));
  CHECK(spec.n_groups() == 2);
  CHECK(spec.n_layers_in(1) == 3);  // 0, 3 and 6
  CHECK(spec.n_layers_in(0) == 4);
  for (int32_t layer = 0; layer < 7; ++layer) CHECK(spec.group_of(layer) == (layer % 3 == 0 ? 1 : 0));
  CHECK(spec.n_blocks == 10);
  CHECK(spec.windowed.n_blocks == 4);  // 5 + 4 − 1 rows
  CHECK(spec.bytes() == spec.group(0).bytes() + spec.group(1).bytes());
  CHECK(spec.bytes() == (4 * 20 + 3 * 8) * 4 * 4 * 2);
  CHECK(spec.forgets());
  CHECK(CacheSpec::contiguous(2, 1, 4, 10).n_groups() == 1);
  CHECK_THROWS_WITH_AS(cache_spec(every(1, 5, 2), sizes_of_layers(4, 20, 4)),
                       doctest::Contains("leave no layer without a window"), ShapeError);
  CHECK_THROWS_WITH_AS(cache_spec(every(2, 5, 2), sizes_of_layers(1, 20, 4)),
                       doctest::Contains("leave no layer without a window"), ShapeError);
}

TEST_CASE("theorem: each group does what its cache does alone, and a step that fails changes nothing") {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    CAPTURE(seed);
    Random random(seed, 0);
    const auto below = [&](int64_t n) { return static_cast<int32_t>(random.below(n)); };
    const CacheOptions options = every(2, 2 + below(6), 1 + below(4));
    const CacheSizes all = sizes_of_layers(4, 40, 5, 2);
    AlternatingCache cache(options, all), saved(options, all);
    PagedCache full(cache.spec().group(0), 2), saved_full(cache.spec().group(0), 2);
    WindowCache windowed(cache.spec().group(1), 2, window_rule(options, all)),
        saved_windowed(cache.spec().group(1), 2, window_rule(options, all));
    int32_t n_failed = 0, n_steps = 0;
    for (int32_t i = 0; i < 5000; ++i) {
      const int32_t action = below(20), sequence = below(2);
      if (action == 0) {
        const int32_t n = below(cache.n_seen(sequence) + 1);
        CHECK(cache.can_truncate(sequence, n) == windowed.can_truncate(sequence, n));
        if (cache.can_truncate(sequence, n)) {
          cache.truncate(sequence, n), full.truncate(sequence, n), windowed.truncate(sequence, n);
        } else {
          CHECK_THROWS_AS(cache.truncate(sequence, n), UsageError);
        }
      } else if (action == 1) {
        cache.reset(sequence), full.truncate(sequence, 0), windowed.truncate(sequence, 0);
      } else if (action == 2) {
        saved.copy_from(cache), saved_full.copy_from(full), saved_windowed.copy_from(windowed);
      } else if (action == 3) {
        cache.copy_from(saved), full.copy_from(saved_full), windowed.copy_from(saved_windowed);
      } else {
        const Ints tokens(static_cast<size_t>(1 + below(6)), i);  // 6 are one too many for a step
        const SequenceInput input{sequence, tokens, LogitRows::last};
        const StepPlan* step = nullptr;
        try {
          std::optional<FailingAllocation> fail;
          if (action == 4) fail.emplace(1 + below(6));
          step = &cache.plan({&input, 1});
        } catch (const CapacityError&) {
        } catch (const std::bad_alloc&) {
          ++n_failed;
        }
        if (step != nullptr) {
          ++n_steps;
          const StepPlan &a = full.plan({&input, 1}), &b = windowed.plan({&input, 1});
          check_same(step->of_layer(1), a);
          check_same(step->of_layer(2), b);
          if (action == 5) {
            cache.abort(*step), full.abort(a), windowed.abort(b);
          } else {
            cache.commit(*step), full.commit(a), windowed.commit(b);
            CHECK(std::ranges::equal(cache.evicted(), windowed.evicted()));
          }
        }
      }
      for (int32_t s = 0; s < 2; ++s) {
        CHECK(cache.n_seen(s) == full.n_seen(s));
        CHECK(cache.n_seen(s) == windowed.n_seen(s));
        CHECK(slots(cache.of_layer(1), s) == slots(full, s));
        CHECK(slots(cache.of_layer(0), s) == slots(windowed, s));
      }
      CHECK(cache.group(0).usage() == full.usage());
      CHECK(cache.group(1).usage() == windowed.usage());
    }
    CHECK(n_steps > 1000);
    CHECK(n_failed > 0);
  }
}

TEST_CASE("rows are not shared, and one plan at a time") {
  const auto cache = make_cache(every(2, 3, 2), sizes_of_layers(2, 10, 2, 2));
  feed(*cache, 0, {1, 2});
  CHECK_THROWS_WITH_AS(cache->fork(0, 1), doctest::Contains("use a paged cache"), UsageError);
  CHECK(cache->adopt_prefix(1, Ints{1, 2}) == 0);
  (void)plan(*cache, 0, {3});
  CHECK(aborts([&] { (void)plan(*cache, 0, {3}); }));
}
