// Texts that begin alike: which rows are found, which never, and what is evicted first.
#include <doctest/doctest.h>

#include "cache/make_cache.h"
#include "cache/pages.h"
#include "core/error.h"
#include "support/aborts.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

PagedCache sharing(int32_t max_seq_len, int32_t block_len, int32_t n_blocks, int32_t n_seqs,
                   PrefixHash hash = prefix_hash) {
  return {pages(max_seq_len, block_len, n_blocks), n_seqs, SharePrefixes::yes, hash};
}

/// Adopts what is there, then feeds the rest, as a prefill does. Returns how many tokens were found.
int32_t start(KvCache& cache, int32_t sequence, const Ints& text) {
  const int32_t n_found = cache.adopt_prefix(sequence, text);
  feed(cache, sequence, Ints(text.begin() + n_found, text.end()));
  return n_found;
}

/// What a cold text would find. Sequence 0 must be empty.
int32_t found(KvCache& cache, const Ints& text) {
  const int32_t n = cache.adopt_prefix(0, text);
  cache.reset(0);
  return n;
}

}  // namespace

TEST_CASE("a prefix by eye: the second text starts behind the blocks that it shares with the first") {
  PagedCache cache = sharing(/*max_seq_len=*/12, /*block_len=*/4, /*n_blocks=*/6, /*n_seqs=*/2);
  CHECK(start(cache, 0, {1, 2, 3, 4, 5, 6, 7, 8, 9}) == 0);  // blocks 0, 1, and one row of block 2
  CHECK(start(cache, 1, {1, 2, 3, 4, 5, 6, 0, 0, 0}) == 4);  // block 0 has the same tokens, block 1 has not
  CHECK(slots(cache, 1) == Slots{0, 1, 2, 3, 12, 13, 14, 15, 16});
  CHECK(cache.usage().blocks_shared == 1);
  CHECK(cache.prefix_counts() ==
        PrefixCounts{.n_lookups = 2, .n_hits = 1, .tokens_asked = 18, .tokens_found = 4});

  cache.reset(0);  // block 1 is full, so it stays for later; block 2 is free
  CHECK(cache.usage() == CacheUsage{.rows_held = 9,
                                    .rows_stored = 9,
                                    .rows_reserved = 12,
                                    .blocks_used = 3,
                                    .blocks_cached = 1,
                                    .blocks_free = 2});
  CHECK(cache.adopt_prefix(0, Ints{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}) == 8);
  CHECK(plan(cache, 0, {9, 10}).positions == Ints{8, 9});
}

TEST_CASE("the last token must be fed, so at most (n - 1) / B blocks are found") {
  for (const int32_t block_len : {1, 2, 3, 12}) {
    CAPTURE(block_len);
    PagedCache cache = sharing(12, block_len, 24, 2);
    const Ints text{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    start(cache, 0, text);
    cache.reset(0);
    for (size_t n = 0; n <= text.size(); ++n) {
      const auto expected = n == 0 ? 0 : static_cast<int32_t>(n - 1) / block_len * block_len;
      CHECK(found(cache, Ints(text.begin(), text.begin() + static_cast<int32_t>(n))) == expected);
    }
  }
}

TEST_CASE("the same block behind another beginning is another prefix") {
  PagedCache cache = sharing(8, 2, 16, 2);
  start(cache, 0, {1, 1, 7, 7, 9});
  cache.reset(0);
  CHECK(found(cache, {2, 2, 7, 7, 9}) == 0);
  CHECK(found(cache, {7, 7, 9}) == 0);
  CHECK(found(cache, {1, 1, 7, 7, 0}) == 4);
  CHECK(found(cache, {1, 1, 1, 1, 0}) == 2);
}

TEST_CASE("texts with the same hash never get each other's rows") {
  PagedCache cache = sharing(8, 2, 16, 2, [](uint64_t, std::span<const int32_t>) { return uint64_t{7}; });
  const Ints texts[] = {{1, 1, 2, 2, 0}, {2, 2, 1, 1, 0}, {1, 1, 1, 1, 0}, {3, 3, 2, 2, 0}};
  for (const Ints& text : texts) {
    start(cache, 1, text);
    cache.reset(1);
  }
  CHECK(cache.usage().blocks_cached == 7);  // 11 12 / 22 21 / 11 → 11 / 33 32
  for (const Ints& text : texts) {
    CHECK(cache.adopt_prefix(0, text) == 4);
    CHECK(cache.slot(0, 2) / 2 != cache.slot(0, 0) / 2);
    cache.reset(0);
  }
  CHECK(found(cache, {4, 4, 1, 1, 0}) == 0);
  CHECK(found(cache, {2, 2, 2, 2, 0}) == 2);
}

TEST_CASE("a step that needs blocks evicts the least recently used text, its end first") {
  PagedCache cache = sharing(/*max_seq_len=*/8, /*block_len=*/2, /*n_blocks=*/8, /*n_seqs=*/2);
  const Ints old{1, 1, 2, 2, 3, 3, 0}, recent{4, 4, 5, 5, 6, 6, 0};
  start(cache, 0, old);
  cache.reset(0);
  start(cache, 0, recent);
  cache.reset(0);
  CHECK(cache.usage().blocks_cached == 6);
  feed(cache, 1, {9, 9, 9});  // takes the two free blocks
  CHECK(cache.prefix_counts().blocks_evicted == 0);
  CHECK(found(cache, old) == 6);  // now `old` is the recent one
  feed(cache, 1, {9, 9});
  CHECK(cache.prefix_counts().blocks_evicted == 1);
  CHECK(found(cache, old) == 6);
  CHECK(found(cache, recent) == 4);
  start(cache, 0, {8, 8, 8, 8, 8});
  CHECK(cache.prefix_counts().blocks_evicted == 4);
  cache.reset(0);
  CHECK(found(cache, recent) == 4);  // it was looked up last, so the other one lost its end
  CHECK(found(cache, old) == 0);
}

TEST_CASE("only committed rows are found") {
  PagedCache cache = sharing(8, 2, 8, 2);
  const Ints text{1, 2, 3, 4, 5};
  cache.abort(plan(cache, 1, text));
  CHECK(found(cache, text) == 0);
  const StepPlan& step = plan(cache, 1, text);
  cache.commit(step);
  CHECK(found(cache, text) == 4);  // also while sequence 1 goes on
}

TEST_CASE("rows in the middle of a block are found when the block is full, in steps of any length") {
  for (const int32_t chunk : {1, 2, 3, 5}) {
    CAPTURE(chunk);
    PagedCache cache = sharing(8, 2, 8, 2);
    const Ints text{1, 2, 3, 4, 5};
    for (int32_t begin = 0; begin < 5; begin += chunk)
      feed(cache, 1, Ints(text.begin() + begin, text.begin() + std::min(begin + chunk, 5)));
    CHECK(found(cache, text) == 4);
  }
}

TEST_CASE("reset keeps the full blocks of a text, truncate does not keep what it takes away") {
  PagedCache cache = sharing(8, 2, 8, 2);
  const Ints text{1, 2, 3, 4, 5};
  start(cache, 1, text);
  const Slots before = slots(cache, 1);
  cache.truncate(1, 2);
  CHECK(found(cache, text) == 2);
  feed(cache, 1, {3, 4, 5});
  CHECK(slots(cache, 1) == before);  // so a step back and forth gets the same slots
  cache.reset(1);
  CHECK(cache.usage().blocks_cached == 2);
  CHECK(found(cache, text) == 4);
}

TEST_CASE("a sequence that was truncated into a block in the index takes it out when it writes there") {
  PagedCache cache = sharing(8, 2, 8, 2);
  start(cache, 0, {1, 2, 3, 4, 5});
  cache.reset(0);
  CHECK(cache.adopt_prefix(1, Ints{1, 2, 3}) == 2);
  cache.truncate(1, 1);
  CHECK(found(cache, {1, 2, 3, 4, 5}) == 4);  // its rows are still there
  const StepPlan& step = plan(cache, 1, {7});
  CHECK(copies(step).empty());
  CHECK(step.append_slots == Slots{1});  // over the row of token 2
  cache.commit(step);
  CHECK(found(cache, {1, 2, 3, 4, 5}) == 0);
  CHECK(found(cache, {1, 7, 3, 4, 5}) == 2);
  CHECK(cache.usage().blocks_cached == 0);  // the block behind it is of no use now, so it is free
  CHECK(cache.usage().blocks_free == 7);
}

TEST_CASE("a sequence that was truncated into a block that another one holds gets a copy") {
  PagedCache cache = sharing(8, 2, 8, 2);
  start(cache, 0, {1, 2, 3, 4, 5});
  CHECK(cache.adopt_prefix(1, Ints{1, 2, 3, 4, 6}) == 4);
  cache.truncate(1, 3);
  const StepPlan& step = plan(cache, 1, {8, 9});
  CHECK(copies(step) == Copies{{1, 3}});
  CHECK(step.append_slots == Slots{7, 8});
  cache.commit(step);
  cache.reset(0);
  CHECK(found(cache, {1, 2, 3, 4, 5}) == 4);
  CHECK(found(cache, {1, 2, 3, 8, 5}) == 4);
}

TEST_CASE("an aborted step loses the cached blocks that it would have taken, and nothing else") {
  PagedCache cache = sharing(/*max_seq_len=*/6, /*block_len=*/2, /*n_blocks=*/4, /*n_seqs=*/2);
  start(cache, 1, {1, 2, 3, 4, 5});
  cache.reset(1);
  start(cache, 1, {7});
  CHECK(cache.usage().blocks_cached == 2);
  CHECK(cache.usage().blocks_free == 1);
  const StepPlan& step = plan(cache, 1, {7, 7, 7, 7});  // one free block, and the end of the cached text
  const Ints table = step.block_tables;
  cache.abort(step);
  CHECK(cache.usage() == CacheUsage{.rows_held = 1,
                                    .rows_stored = 1,
                                    .rows_reserved = 2,
                                    .blocks_used = 1,
                                    .blocks_cached = 1,
                                    .blocks_free = 2});
  CHECK(slots(cache, 1) == Slots{4});
  CHECK(plan(cache, 1, {7, 7, 7, 7}).block_tables == table);
  CHECK(table == Ints{2, 3, 1});
}

TEST_CASE("a refused step evicts nothing") {
  PagedCache cache = sharing(/*max_seq_len=*/6, /*block_len=*/2, /*n_blocks=*/4, /*n_seqs=*/3);
  start(cache, 1, {1, 2, 3, 4, 5});
  cache.reset(1);
  start(cache, 1, {6});
  const Ints five{1, 1, 1, 1, 1};
  const SequenceInput inputs[] = {{0, five, LogitRows::last}, {2, five, LogitRows::last}};
  const CacheUsage before = cache.usage();
  CHECK_THROWS_WITH_AS(
      cache.plan(inputs),
      "this step needs 6 more blocks of 2 rows, but of 4 blocks 1 are in use, 1 free and 2 cached: "
      "end a sequence, feed fewer tokens, or make the cache with at least blocks=7",
      CapacityError);
  CHECK(cache.usage() == before);
  CHECK(found(cache, {1, 2, 3, 4, 5}) == 4);
}

TEST_CASE("undo does not bring back cached rows that were overwritten") {
  PagedCache cache = sharing(6, 2, 5, 2), saved = sharing(6, 2, 5, 2);
  start(cache, 0, {1, 2, 3, 4, 5});
  cache.reset(0);
  saved.copy_from(cache);
  SUBCASE("nothing was overwritten") {
    feed(cache, 1, {6, 6, 6, 6});  // two free blocks
    cache.copy_from(saved);
    CHECK(found(cache, {1, 2, 3, 4, 5}) == 4);
  }
  SUBCASE("the end was overwritten") {
    feed(cache, 1, {6, 6, 6, 6, 6, 6});
    feed(cache, 0, {7});
    cache.copy_from(saved);
    CHECK(found(cache, {1, 2, 3, 4, 5}) == 2);
    CHECK(cache.usage().blocks_free == 4);
    saved.copy_from(cache);  // the copy now knows it too
    CHECK(found(saved, {1, 2, 3, 4, 5}) == 2);
  }
  SUBCASE("the beginning was overwritten, so what is behind it is lost too") {
    start(cache, 1, {1, 2, 9});
    cache.truncate(1, 1);
    feed(cache, 1, {8});
    cache.copy_from(saved);
    CHECK(found(cache, {1, 2, 3, 4, 5}) == 0);
    CHECK(cache.usage().blocks_free == 5);
  }
  SUBCASE("an aborted step may have overwritten them") {
    feed(cache, 1, {6, 6, 6, 6, 6});
    cache.abort(plan(cache, 0, {7, 7}));
    cache.copy_from(saved);
    CHECK(found(cache, {1, 2, 3, 4, 5}) == 2);
  }
}

TEST_CASE("two sequences that computed the same text at the same time both keep their rows") {
  PagedCache cache = sharing(8, 2, 12, 3);
  feed(cache, 1, {1, 2, 3, 4});
  feed(cache, 2, {1, 2, 3, 4, 5, 6});  // the same, without looking
  CHECK(slots(cache, 1) == Slots{0, 1, 2, 3});
  CHECK(cache.adopt_prefix(0, Ints{1, 2, 3, 4, 5, 6, 7}) == 6);  // the last one added, and what is behind it
  CHECK(slots(cache, 0) == slots(cache, 2));
  cache.reset(0);
  cache.truncate(2, 0);
  CHECK(found(cache, {1, 2, 3, 4, 5}) == 4);  // now the first one
}

TEST_CASE("a cache that shares no prefixes finds none and keeps none") {
  PagedCache cache(pages(8, 2, 8), 2);
  feed(cache, 0, {1, 2, 3, 4});
  cache.reset(0);
  CHECK(cache.usage().blocks_free == 8);
  CHECK(cache.adopt_prefix(0, Ints{1, 2, 3, 4, 5}) == 0);
  CHECK(cache.prefix_counts() == PrefixCounts{});
  const CacheSizes sizes{.n_layers = 1, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 8, .n_seqs = 2};
  const auto shares = make_cache({.kind = "paged", .block_len = 2, .share_prefix = true}, sizes);
  feed(*shares, 0, {1, 2, 3, 4});
  CHECK(shares->adopt_prefix(1, Ints{1, 2, 3, 4, 5}) == 4);
}
