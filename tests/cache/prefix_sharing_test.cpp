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
