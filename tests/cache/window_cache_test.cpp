#include "cache/window_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "attention/mask.h"
#include "cache/allocations.h"
#include "cache/contiguous_cache.h"
#include "cache/pages.h"
#include "cache/slots.h"
#include "core/error.h"
#include "support/aborts.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

CacheSizes sizes(int32_t max_seq_len, int32_t longest_step, int32_t n_seqs = 1) {
  return {.n_layers = 2,
          .n_kv_heads = 1,
          .head_dim = 4,
          .max_seq_len = max_seq_len,
          .n_seqs = n_seqs,
          .longest_step = longest_step};
}

CacheOptions window_of(int32_t window, int32_t sinks, int32_t block_len) {
  return {.kind = "window", .block_len = block_len, .window = window, .sinks = sinks};
}

/// The entries of a block table as "block: positions", a dot for a place without a row.
std::string drawing(const StepPlan& plan, int32_t i = 0) {
  std::string text;
  for (int32_t entry = 0; entry < plan.blocks_per_seq; ++entry) {
    const int32_t block = plan.block_tables[i * plan.blocks_per_seq + entry];
    if (block < 0) continue;
    text += (text.empty() ? "" : "   ") + std::to_string(block) + ":";
    for (int32_t place = 0; place < plan.block_len; ++place) {
      std::string row = " .";
      for (int32_t s = 0; s < plan.kv_len[i]; ++s)
        if (place_in_table(block_table(plan, i), s) == entry * plan.block_len + place)
          row = " " + std::to_string(plan.key_positions[i * plan.keys_per_seq() + s]);
      text += row;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("a ring by eye: one sink, a window of 4, blocks of 2") {
  const auto cache = make_cache(window_of(4, 1, 2), sizes(100, /*longest_step=*/1));
  CHECK(cache->spec().n_blocks == 3);  // one for the sink, two for the ring
  const char* tables[] = {
      "0: 0 .",
      "0: 0 .   1: 1 .",
      "0: 0 .   1: 1 2",
      "0: 0 .   1: 1 2   2: 3 .",
      "0: 0 .   1: 1 2   2: 3 4",
      "0: 0 .   1: . 2   2: 3 4   1: 5 .",  // row 1 was forgotten, and row 5 took its slot
      "0: 0 .   2: 3 4   1: 5 6",
      "0: 0 .   2: . 4   1: 5 6   2: 7 ."};
  for (int32_t token = 0; token < 8; ++token) {
    const StepPlan& step = plan(*cache, 0, {token});
    CHECK(drawing(step) == tables[token]);
    CHECK(step.positions == Ints{token});
    CHECK(step.window == 4);
    CHECK(step.window_sinks == 1);
    cache->commit(step);
    CHECK(cache->n_seen(0) == token + 1);
    CHECK(cache->length(0) == std::min(token + 1, 4));  // the sink, and three rows of the window of 4
  }
  CHECK(slots(*cache, 0) == Slots{0, 2, 3, 4});  // the positions 0, 5, 6, 7
  CHECK(cache->usage() == CacheUsage{.rows_held = 4,
                                     .rows_stored = 4,
                                     .rows_reserved = 6,
                                     .rows_evicted = 4,
                                     .blocks_used = 3,
                                     .blocks_shared = 0,
                                     .blocks_cached = 0,
                                     .blocks_free = 0});
}

TEST_CASE("a chunk overwrites only rows that none of its queries sees") {
  const auto cache = make_cache(window_of(4, 0, 1), sizes(100, /*longest_step=*/3));
  CHECK(cache->spec().n_blocks == 6);  // window + longest_step − 1
  feed(*cache, 0, {0, 1, 2});
  feed(*cache, 0, {3, 4, 5});
  const StepPlan& step = plan(*cache, 0, {6, 7, 8});
  CHECK(drawing(step) == "3: 3   4: 4   5: 5   0: 6   1: 7   2: 8");  // token 6 still sees row 3
}

TEST_CASE("a ring one row smaller than window + longest_step - 1 overwrites a row that is still seen") {
  const int32_t window = 4, longest = 3;
  const auto loses_a_row = [&](int32_t ring_rows) {
    std::vector<int32_t> ring(ring_rows, -1);  // row p of the text is at place p % ring_rows
    for (int32_t first = 0; first < 60; first += longest) {
      for (int32_t t = 0; t < longest; ++t) ring[(first + t) % ring_rows] = first + t;
      for (int32_t t = 0; t < longest; ++t)  // all rows of a step are stored before a query reads any
        for (int32_t seen = std::max(0, first + t - window + 1); seen <= first + t; ++seen)
          if (ring[seen % ring_rows] != seen) return true;
    }
    return false;
  };
  CHECK(!loses_a_row(window + longest - 1));
  CHECK(loses_a_row(window + longest - 2));

  CacheSpec spec = window_spec(window_of(window, 2, 1), sizes(100, longest));
  const WindowRule rule{window, 2, longest};
  CHECK(spec.n_blocks == 2 + window + longest - 1);
  CHECK_NOTHROW(WindowCache(spec, 1, rule));
  --spec.n_blocks, --spec.table_len, --spec.held_rows;
  CHECK_THROWS_WITH_AS(WindowCache(spec, 1, rule), doctest::Contains("make the spec with window_spec"),
                       ShapeError);
}

TEST_CASE("positions never drift, and a query sees what the policy says, over 10,000 steps") {
  const int32_t n_steps = 10000, window = 37, sinks = 5;
  const auto cache = make_cache(window_of(window, sinks, 8), sizes(3 * n_steps, /*longest_step=*/3));
  std::vector<int32_t> stored(static_cast<size_t>(cache->spec().n_blocks) * 8, -1);  // the position in a slot
  int32_t n = 0;
  for (int32_t step = 0; step < n_steps; ++step) {
    const Ints tokens(1 + step % 3, 7);
    const StepPlan& p = plan(*cache, 0, tokens);
    for (int32_t t = 0; t < p.q_len(0); ++t) {
      REQUIRE(p.positions[t] == n + t);
      stored[p.append_slots[t]] = n + t;
    }
    for (int32_t s = 0; s < p.kv_len[0]; ++s)
      REQUIRE(stored[slot_of(block_table(p, 0), s)] == p.key_positions[s]);
    for (int32_t t = 0; t < p.q_len(0); ++t) {
      const VisibleKeys keys =
          visible_keys({.window = p.window, .sinks = p.window_sinks}, p.q_len(0), p.kv_len[0], t);
      const int32_t last = n + t;
      REQUIRE(keys.count() == std::min(last + 1, window + std::min(sinks, std::max(0, last + 1 - window))));
      for (int32_t i = 0; i < keys.count(); ++i) {
        const int32_t position = p.key_positions[keys.index(i)];
        REQUIRE((position < sinks || position > last - window));
      }
    }
    cache->commit(p);
    n += static_cast<int32_t>(tokens.size());
    for (int32_t index = 0; index < cache->length(0); ++index)
      REQUIRE(stored[cache->slot(0, index)] == cache->position_of(0, index));
  }
  CHECK(cache->n_seen(0) == n);
  CHECK(cache->usage().rows_evicted == n - sinks - (window - 1));
}

TEST_CASE("an aborted step changes nothing") {
  const auto cache = make_cache(window_of(4, 1, 2), sizes(100, 3));
  for (int32_t n = 0; n < 8; ++n) feed(*cache, 0, {n});
  const CacheUsage before = cache->usage();
  const Slots held = slots(*cache, 0);
  const StepPlan& step = plan(*cache, 0, {8, 9, 10});
  for (const int64_t slot : step.append_slots)  // so no held row is lost, however far the step came
    CHECK(std::ranges::find(held, slot) == held.end());
  cache->abort(step);
  CHECK(cache->usage() == before);
  CHECK(slots(*cache, 0) == held);
  CHECK(plan(*cache, 0, {8}).positions == Ints{8});
}

TEST_CASE("a ring goes back only where it still holds the rows") {
  const auto cache = make_cache(window_of(4, 2, 2), sizes(100, 3));
  for (int32_t n = 0; n < 5; ++n) feed(*cache, 0, {n});  // nothing is forgotten yet: 2 sinks, and 3 rows
  for (int32_t n = 0; n <= 5; ++n) CHECK(cache->can_truncate(0, n));
  feed(*cache, 0, {5});
  for (int32_t n = 0; n <= 6; ++n) CHECK(cache->can_truncate(0, n) == (n <= 2 || n == 6));
  CHECK_THROWS_WITH_AS(
      cache->truncate(0, 4),
      "sequence 0 has seen 6 tokens and cannot go back to 4: the rows of the positions 2 to 2 "
      "are forgotten; go back to 0 and feed the tokens again",
      UsageError);
  CHECK(cache->n_seen(0) == 6);
  cache->truncate(0, 2);
  CHECK(slots(*cache, 0) == Slots{0, 1});
  cache->truncate(0, 0);
  CHECK(cache->usage().blocks_used == 0);
  CHECK(cache->usage().rows_evicted == 1);
}

TEST_CASE("a window of 1 sees the sinks and the own row") {
  const auto cache = make_cache(window_of(1, 1, 2), sizes(100, 1));
  for (int32_t n = 0; n < 5; ++n) feed(*cache, 0, {n});
  CHECK(cache->length(0) == 1);
  CHECK(drawing(plan(*cache, 0, {5})) ==
        "0: 0 .   1: 5 .");  // table_first is 0: row 5 is the fifth behind the sink
}

TEST_CASE("sequences of different lengths step together, each in its own ring") {
  const auto cache = make_cache(window_of(3, 1, 2), sizes(100, 2, /*n_seqs=*/2));
  for (int32_t n = 0; n < 6; ++n) feed(*cache, 1, {n});
  const Ints a{1, 2}, b{3};
  const SequenceInput both[] = {{1, a, LogitRows::last}, {0, b, LogitRows::all}};
  const StepPlan& step = cache->plan(both);
  CHECK(drawing(step, 0) == "3: 0 .   5: . 4   4: 5 6   5: 7 .");
  CHECK(drawing(step, 1) == "0: 0 .");
  CHECK(step.table_first == Ints{1, 0});
  CHECK(step.positions == Ints{6, 7, 0});
  CHECK(step.logit_rows == Ints{1, 2});
  cache->commit(step);
  CHECK(cache->length(0) == 1);
  CHECK(cache->length(1) == 3);
}

TEST_CASE("the bytes of a window do not grow with the context") {
  const auto bytes = [](int32_t context) {
    return cache_spec(window_of(64, 4, 16), sizes(context, 64)).bytes();
  };
  const int64_t row = 2 * 4 * 4 * 2;       // K and V, head_dim 4, f32, two layers
  CHECK(bytes(1000) == (16 + 128) * row);  // one block for 4 sinks, eight for 64 + 64 − 1 rows
  CHECK(bytes(100000) == bytes(1000));
  CHECK(bytes(100) == (16 + 96) * row);  // never more than the context
  CHECK(make_cache(window_of(64, 4, 16), sizes(1000, 64))->spec().bytes() == bytes(1000));
}

TEST_CASE("what a window cannot do says so") {
  const auto cache = make_cache(window_of(4, 1, 2), sizes(8, 3, 2));
  for (int32_t n = 0; n < 7; ++n) feed(*cache, 0, {n});
  CHECK_THROWS_WITH_AS(plan(*cache, 1, {1, 2, 3, 4}),
                       "a step of 4 tokens, but the ring has room for 3 at once: feed chunks of at most 3",
                       CapacityError);
  CHECK_THROWS_WITH_AS(plan(*cache, 0, {1, 2}), doctest::Contains("n_tokens 9 > max_seq_len 8: raise"),
                       CapacityError);
  CHECK_THROWS_WITH_AS(cache->fork(0, 1), doctest::Contains("use a paged cache"), UsageError);
  CHECK(cache->adopt_prefix(1, Ints{1, 2, 3}) == 0);
  const StepPlan& step = plan(*cache, 0, {1});
  CHECK(aborts([&] { plan(*cache, 0, {1}); }));
  CHECK(aborts([&] { cache->truncate(0, 0); }));
  CHECK(aborts([&] { cache->commit(StepPlan(step)); }));
  cache->abort(step);
  CHECK(aborts([&] { cache->copy_from(*make_cache(window_of(4, 2, 2), sizes(8, 3, 2))); }));
  CHECK(aborts([&] { cache->slot(0, 4); }));

  const auto refused = [](const CacheOptions& options, const char* message) {
    CHECK_THROWS_WITH_AS(cache_spec(options, sizes(8, 3)), doctest::Contains(message), Error);
  };
  refused(window_of(0, 0, 2), "choose window:w=W");
  refused(window_of(4, 8, 2),
          "8 sinks in a context of 8 tokens leave no room for a window: choose sinks=0 to 7");
  refused(window_of(4, 1, 9), "choose block=1 to block=8");
  refused({.kind = "window", .block_len = 2, .window = 4, .positions = Positions::renumbered},
          "takes 1 token of a sequence in a step, not 3: feed single tokens, or choose positions=kept");
  refused({.kind = "budget", .positions = Positions::renumbered, .budget = 4},
          "only a window cache takes positions=new");
  refused({.sinks = 1}, "1 sinks without a window change nothing");
  refused({.window = -1}, "neither may be negative");
  refused({.kind = "paged", .block_len = 2, .window = 4}, "a paged cache has no window");
}

TEST_CASE("new positions are the indices of the held rows; everything else is as with kept ones") {
  CacheOptions kept = window_of(4, 1, 2), anew = kept;
  anew.positions = Positions::renumbered;
  const auto a = make_cache(kept, sizes(10'100, 1)), b = make_cache(anew, sizes(10'100, 0));
  CHECK(b->spec().held_rows == 5);  // longest_step is 1
  for (int32_t n = 0; n < 10'000; ++n) {
    const StepPlan &expected = plan(*a, 0, {n}), &got = plan(*b, 0, {n});
    CHECK_FALSE(expected.uses_new_positions());
    const int32_t kv_len = std::min(n + 1, 5);
    REQUIRE(got.new_positions == std::vector<int32_t>{kv_len - 1});
    for (int32_t s = 0; s < got.keys_per_seq(); ++s)
      REQUIRE(got.new_key_positions[static_cast<size_t>(s)] == (s < kv_len ? s : -1));
    REQUIRE(got.positions == std::vector<int32_t>{n});
    REQUIRE(got.key_positions == expected.key_positions);
    REQUIRE(got.block_tables == expected.block_tables);
    REQUIRE(got.append_slots == expected.append_slots);
    a->commit(expected);
    b->commit(got);
  }
}

TEST_CASE("a contiguous cache with a window keeps all rows: its plans carry the mask alone") {
  const auto masked = make_cache({.window = 4, .sinks = 1}, sizes(20, 0)), all = make_cache({}, sizes(20, 0));
  for (int32_t n = 0; n < 12; ++n) {
    feed(*masked, 0, {n});
    feed(*all, 0, {n});
  }
  CHECK(masked->usage() == all->usage());
  const StepPlan& step = plan(*masked, 0, {12});
  CHECK(step.window == 4);
  CHECK(step.window_sinks == 1);
  CHECK(step.table_sinks == 0);
  CHECK(step.key_positions.empty());
  CHECK(step.kv_len == Ints{13});
  CHECK(plan(*all, 0, {12}).window == 0);
}

TEST_CASE("a ring allocates nothing in steady steps") {
  const CacheSizes size = sizes(10000, 4, /*n_seqs=*/2);
  const auto cache = make_cache(window_of(5, 2, 3), size), saved = make_cache(window_of(5, 2, 3), size);
  const Ints prompt{1, 2, 3, 4}, token{7};
  const SequenceInput first{0, prompt, LogitRows::last},
      both[] = {{0, token, LogitRows::last}, {1, token, LogitRows::last}};
  const int64_t before = n_allocations();
  cache->commit(cache->plan({&first, 1}));
  for (int32_t i = 0; i < 1000; ++i) {
    saved->copy_from(*cache);
    cache->commit(cache->plan(both));
    if (i % 3 == 0) cache->copy_from(*saved);
    cache->abort(cache->plan(both));
  }
  CHECK(n_allocations() == before);
  CHECK(cache->usage().rows_evicted > 1000);
}
