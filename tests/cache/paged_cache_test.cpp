// Blocks from a pool, and sequences that share them: by eye, then what must always hold.
#include <doctest/doctest.h>

#include "cache/make_cache.h"
#include "cache/pages.h"
#include "core/error.h"
#include "support/aborts.h"

using namespace lastrow;
using namespace lastrow::testing;

TEST_CASE("pages by eye: a sequence takes blocks as it grows, a fork shares them, a writer copies") {
  PagedCache cache(pages(/*max_seq_len=*/12, /*block_len=*/4, /*n_blocks=*/6), /*n_seqs=*/2);
  const StepPlan& prefill = plan(cache, 0, {11, 12, 13, 14, 15, 16});
  CHECK(prefill.block_tables == Ints{0, 1, -1});
  CHECK(prefill.append_slots == Slots{0, 1, 2, 3, 4, 5});
  CHECK(prefill.blocks_per_seq == 3);
  CHECK(prefill.block_len == 4);
  CHECK(cache.usage().blocks_used == 0);  // a plan takes nothing
  cache.commit(prefill);
  CHECK(cache.usage() ==
        CacheUsage{.rows_held = 6, .rows_stored = 6, .rows_reserved = 8, .blocks_used = 2, .blocks_free = 4});
  CHECK(cache.usage().internal_waste() == 2);

  cache.fork(0, 1);
  CHECK(slots(cache, 1) == slots(cache, 0));
  CHECK(cache.usage().rows_held == 12);
  CHECK(cache.usage().rows_stored == 6);  // each is stored once
  CHECK(cache.usage().blocks_shared == 2);

  const StepPlan& first = plan(cache, 0, {17});  // block 1 is shared: sequence 0 gets a copy of it, block 2
  CHECK(copies(first) == Copies{{1, 2}});
  CHECK(first.block_tables == Ints{0, 2, -1});
  CHECK(first.append_slots == Slots{10});
  cache.commit(first);
  const StepPlan& second = plan(cache, 1, {18});  // now only sequence 1 holds block 1, so it writes there
  CHECK(copies(second).empty());
  CHECK(second.append_slots == Slots{6});
  cache.commit(second);
  CHECK(slots(cache, 0) == Slots{0, 1, 2, 3, 8, 9, 10});
  CHECK(slots(cache, 1) == Slots{0, 1, 2, 3, 4, 5, 6});
  CHECK(cache.usage().blocks_shared == 1);
  CHECK(cache.usage().rows_stored == 4 + 3 + 3);

  cache.reset(0);  // gives block 2 back; block 0 is still held by sequence 1
  CHECK(cache.usage().blocks_used == 2);
  CHECK(plan(cache, 0, {1, 2, 3, 4, 5}).block_tables ==
        Ints{2, 3, -1});  // the last one given back comes first
}

TEST_CASE("a pool with too few blocks refuses, with sizes, and stays as it was") {
  PagedCache cache(pages(/*max_seq_len=*/8, /*block_len=*/2, /*n_blocks=*/5), /*n_seqs=*/2);
  feed(cache, 0, {1, 2, 3, 4, 5});
  const CacheUsage before = cache.usage();
  CHECK_THROWS_WITH_AS(
      plan(cache, 1, {1, 2, 3, 4, 5}),
      "this step needs 3 more blocks of 2 rows, but of 5 blocks 3 are in use, 2 free and 0 cached: "
      "end a sequence, feed fewer tokens, or make the cache with at least blocks=6",
      CapacityError);
  CHECK(cache.usage() == before);
  feed(cache, 1, {1, 2, 3, 4});
  CHECK(cache.usage().blocks_free == 0);
}

TEST_CASE("a cache is named as users write it") {
  for (const char* text :
       {"contiguous", "paged", "paged:block=8", "paged:blocks=40", "paged:block=1,blocks=9"})
    CHECK(name_of(cache_options(text)) == text);
  CHECK(name_of(cache_options("paged:block=16")) == "paged");
  CHECK(name_of(cache_options("paged:blocks=9,block=1")) == "paged:block=1,blocks=9");
  CHECK(cache_options("paged").block_len == 16);
  CHECK(cache_options("paged").n_blocks == 0);
  CHECK(cache_options("paged:block=4,blocks=9").block_len == 4);
  CHECK(cache_options("paged:block=4,blocks=9").n_blocks == 9);
  const auto message = [](const char* text) -> std::string {
    try {
      return cache_options(text).kind + " was read";
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  const std::string use = "; use contiguous or paged[:block=B][,blocks=N]";
  CHECK(message("pages") == "unknown cache 'pages': use contiguous or paged[:block=B][,blocks=N]");
  CHECK(message("") == "unknown cache '': use contiguous or paged[:block=B][,blocks=N]");
  CHECK(message("contiguous:block=4") ==
        "cache 'contiguous:block=4': a contiguous cache has no settings" + use);
  CHECK(message("paged:") == "cache 'paged:': there is no setting ''" + use);
  CHECK(message("paged:block=4,") == "cache 'paged:block=4,': there is no setting ''" + use);
  CHECK(message("paged:size=4") == "cache 'paged:size=4': there is no setting 'size'" + use);
  CHECK(message("paged:block=4,block=4") == "cache 'paged:block=4,block=4': a setting is given twice" + use);
  for (const char* value : {"0", "-1", "x", "", "1e3", "4294967297"})
    CHECK(message(("paged:block=" + std::string(value)).c_str()) ==
          fmt::format("cache 'paged:block={}': block is '{}', but it must be a whole number of at least 1",
                      value, value) +
              use);
}
