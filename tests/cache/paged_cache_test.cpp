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
       {"contiguous", "contiguous:window=64", "contiguous:window=64,sinks=4", "paged", "paged:block=8",
        "paged:blocks=40", "paged:block=1,blocks=9", "window", "window:w=64", "window:w=64,sinks=4",
        "window:w=64,sinks=4,block=8,positions=new", "budget:rows=32", "budget:rows=32,sinks=2,policy=sinks",
        "budget:rows=32,policy=heavy", "budget:rows=32,policy=random,seed=18446744073709551615"})
    CHECK(name_of(cache_options(text)) == text);
  CHECK(name_of(cache_options("paged:block=16")) == "paged");
  CHECK(name_of(cache_options("paged:blocks=9,block=1")) == "paged:block=1,blocks=9");
  CHECK(name_of(cache_options("window:positions=kept,block=16,sinks=0,w=5")) == "window:w=5");
  CHECK(name_of(cache_options("budget:seed=0,policy=oldest,rows=5")) == "budget:rows=5");
  CHECK(cache_options("window:w=64,sinks=4,positions=new,block=8") ==
        CacheOptions{
            .kind = "window", .block_len = 8, .window = 64, .sinks = 4, .positions = Positions::renumbered});
  CHECK(cache_options("budget:rows=9,policy=heavy").eviction == Eviction::heavy);
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
  const std::string use = "; use paged[:block=B][,blocks=N]",
                    kinds = "contiguous, paged, window:w=W or budget:rows=N";
  CHECK(message("pages") == "unknown cache 'pages': use " + kinds);
  CHECK(message("") == "unknown cache '': use " + kinds);
  CHECK(message("contiguous:block=4") ==
        "cache 'contiguous:block=4': there is no setting 'block'; use contiguous[:window=W][,sinks=N]");
  CHECK(message("contiguous:sinks=4") ==
        "cache 'contiguous:sinks=4': sinks without a window change nothing; use "
        "contiguous[:window=W][,sinks=N]");
  const std::string window = "; use window[:w=W][,sinks=N][,positions=kept|new][,block=B]";
  CHECK(message("window:w=0") ==
        "cache 'window:w=0': w is '0', but it must be a whole number of at least 1" + window);
  CHECK(message("window:w=4,sinks=-1") ==
        "cache 'window:w=4,sinks=-1': sinks is '-1', but it must be a whole number of at least 0" + window);
  CHECK(message("window:window=4") == "cache 'window:window=4': there is no setting 'window'" + window);
  CHECK(message("window:w=4,w=5") == "cache 'window:w=4,w=5': a setting is given twice" + window);
  CHECK(message("window:positions=old") ==
        "cache 'window:positions=old': positions is 'old', which is none of its words" + window);
  const std::string budget = "; use budget:rows=N[,policy=oldest|sinks|heavy|random][,sinks=N][,seed=N]";
  CHECK(message("budget") == "cache 'budget': the number of rows is missing" + budget);
  CHECK(message("budget:rows=4,seed=x") ==
        "cache 'budget:rows=4,seed=x': seed is 'x', but it must be a whole number of at least 0" + budget);
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

TEST_CASE("if all holders of a block write in one step, the longest keeps it and the others copy it") {
  PagedCache cache(pages(/*max_seq_len=*/8, /*block_len=*/4, /*n_blocks=*/3), /*n_seqs=*/3);
  feed(cache, 0, {1, 2, 3});
  cache.fork(0, 1);
  cache.fork(0, 2);
  cache.truncate(0, 2);
  const Ints a{4}, b{5}, c{6};  // sequence 0 has two rows of block 0, sequences 1 and 2 have three
  const SequenceInput all[] = {{0, a, LogitRows::last}, {1, b, LogitRows::last}, {2, c, LogitRows::last}};
  const CacheUsage before = cache.usage();
  for (const bool commit : {false, true}) {
    const StepPlan& plan = cache.plan(all);
    CHECK(copies(plan) == Copies{{0, 1}, {0, 2}});
    CHECK(plan.block_tables == Ints{1, -1, 0, -1, 2, -1});
    CHECK(plan.append_slots == Slots{6, 3, 11});  // slot 3 was empty, so an abort has lost no row
    if (commit) {
      cache.commit(plan);
    } else {
      cache.abort(plan);
      CHECK(cache.usage() == before);
      CHECK(slots(cache, 1) == Slots{0, 1, 2});
    }
  }
  CHECK(cache.usage().blocks_used == 3);  // as many as without sharing, never more
  CHECK(cache.usage().blocks_shared == 0);
}

TEST_CASE("if one holder of a block does not write, all that write copy it") {
  PagedCache cache(pages(/*max_seq_len=*/8, /*block_len=*/4, /*n_blocks=*/4), /*n_seqs=*/3);
  feed(cache, 0, {1, 2, 3, 4});
  cache.fork(0, 1);
  cache.fork(0, 2);
  cache.truncate(1, 2);
  cache.truncate(2, 3);
  const Ints a{5}, b{6}, c{7};  // sequence 0 holds the whole block and writes behind it
  const SequenceInput all[] = {{0, a, LogitRows::last}, {1, b, LogitRows::last}, {2, c, LogitRows::last}};
  const StepPlan& plan = cache.plan(all);
  CHECK(copies(plan) == Copies{{0, 2}, {0, 3}});
  CHECK(plan.block_tables == Ints{0, 1, 2, -1, 3, -1});
}

TEST_CASE("a fork of full blocks copies nothing, and an input without tokens neither") {
  PagedCache cache(pages(8, 2, 8), 2);
  feed(cache, 0, {1, 2, 3, 4});
  cache.fork(0, 1);
  const StepPlan& grows = plan(cache, 1, {5});
  CHECK(copies(grows).empty());
  CHECK(grows.block_tables == Ints{0, 1, 2, -1});
  cache.commit(grows);
  cache.truncate(1, 3);  // into a block that sequence 0 holds too
  const StepPlan& waits = plan(cache, 1, {});
  CHECK(copies(waits).empty());
  CHECK(waits.kv_len == Ints{3});
  CHECK(waits.logit_rows.empty());
  cache.commit(waits);
  CHECK(copies(plan(cache, 1, {6})) == Copies{{1, 2}});
}

TEST_CASE("after truncate the same step gets the same slots again") {
  PagedCache cache(pages(/*max_seq_len=*/12, /*block_len=*/2, /*n_blocks=*/12), /*n_seqs=*/2);
  feed(cache, 0, {1});
  feed(cache, 1, {1, 2, 3});
  feed(cache, 0, {2, 3, 4, 5, 6, 7});
  cache.reset(1);
  feed(cache, 1, {1, 2, 3, 4, 5});
  for (const int32_t kept : {7, 6, 3, 2, 1, 0}) {
    CAPTURE(kept);
    const Slots before = slots(cache, 0);
    cache.truncate(0, kept);
    CHECK(slots(cache, 0) == Slots(before.begin(), before.begin() + kept));
    feed(cache, 0, Ints(7 - kept, 1));
    CHECK(slots(cache, 0) == before);
  }
}

TEST_CASE("one block for each sequence: the plans of a contiguous cache") {
  const CacheSizes sizes{.n_layers = 1, .n_kv_heads = 2, .head_dim = 4, .max_seq_len = 6, .n_seqs = 3};
  const auto contiguous = make_cache({}, sizes),
             one_block = make_cache({.kind = "paged", .block_len = 6}, sizes);
  CHECK(contiguous->spec().bytes() == one_block->spec().bytes());
  const Ints a{1, 2, 3}, b{4};
  const SequenceInput steps[][3] = {
      {{0, a, LogitRows::all}, {1, b, LogitRows::last}, {2, a, LogitRows::none}},
      {{0, b, LogitRows::last}, {1, a, LogitRows::none}, {2, a, LogitRows::all}}};
  for (const auto& step : steps) {
    const StepPlan &x = contiguous->plan(step), &y = one_block->plan(step);
    CHECK(x.tokens == y.tokens);
    CHECK(x.positions == y.positions);
    CHECK(x.q_start == y.q_start);
    CHECK(x.kv_len == y.kv_len);
    CHECK(x.block_tables == y.block_tables);
    CHECK(x.append_slots == y.append_slots);
    CHECK(x.logit_rows == y.logit_rows);
    CHECK(x.sequences == y.sequences);
    CHECK(x.index_of(1, 0) == y.index_of(1, 0));
    contiguous->commit(x);
    one_block->commit(y);
    CHECK(contiguous->usage() == one_block->usage());
  }
}

TEST_CASE("blocks of one index: a sequence holds its blocks in any order, and shares them without copies") {
  PagedCache cache(pages(/*max_seq_len=*/5, /*block_len=*/1, /*n_blocks=*/8), /*n_seqs=*/3);
  feed(cache, 0, {1, 2});
  feed(cache, 1, {3, 4});
  cache.reset(0);
  feed(cache, 1, {5});
  CHECK(slots(cache, 1) == Slots{2, 3, 0});
  cache.fork(1, 2);
  cache.truncate(2, 1);
  const StepPlan& step = plan(cache, 2, {7, 7});
  CHECK(copies(step).empty());
  CHECK(step.index_of(0, 2) == 2);
  CHECK(step.index_of(0, 3) == std::nullopt);
  cache.commit(step);
  CHECK(cache.usage().internal_waste() == 0);
  CHECK(cache.usage().rows_held == 6);
  CHECK(cache.usage().rows_stored == 5);
}

TEST_CASE("rows of a shared block count once: as many as the longest of its sequences has there") {
  PagedCache cache(pages(/*max_seq_len=*/8, /*block_len=*/4, /*n_blocks=*/8), /*n_seqs=*/3);
  feed(cache, 0, {1, 2, 3, 4, 5, 6});
  cache.fork(0, 1);
  cache.fork(0, 2);
  CHECK(cache.usage().rows_stored == 6);
  cache.truncate(0, 5);
  CHECK(cache.usage().rows_stored == 6);
  cache.truncate(1, 5);
  cache.truncate(2, 3);
  CHECK(cache.usage().rows_stored == 5);  // sequences 0 and 1 hold the whole first block
  cache.truncate(0, 2);
  cache.truncate(1, 2);
  CHECK(cache.usage() == CacheUsage{.rows_held = 7,
                                    .rows_stored = 3,
                                    .rows_reserved = 4,
                                    .blocks_used = 1,
                                    .blocks_shared = 1,
                                    .blocks_free = 7});
}

TEST_CASE("bytes are those of whole blocks") {
  const CacheSizes sizes{.n_layers = 3, .n_kv_heads = 2, .head_dim = 8, .max_seq_len = 100, .n_seqs = 2};
  const int64_t row_bytes = 2ll * 3 * 2 * 8 * 4;  // K and V, layers, heads, width, float
  CHECK(cache_spec({}, sizes).bytes() == 2 * 100 * row_bytes);
  CHECK(cache_spec({.kind = "paged"}, sizes).n_blocks == 2 * 7);
  CHECK(cache_spec({.kind = "paged"}, sizes).bytes() == 2 * 7 * 16 * row_bytes);
  CHECK(cache_spec({.kind = "paged", .block_len = 3, .n_blocks = 40}, sizes).bytes() == 40 * 3 * row_bytes);
  CHECK(make_cache({.kind = "paged", .block_len = 3, .n_blocks = 40}, sizes)->spec().bytes() ==
        40 * 3 * row_bytes);
}

TEST_CASE("sizes that make no paged cache are refused with the sizes that do") {
  const CacheSizes sizes{.n_layers = 1, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 10, .n_seqs = 2};
  CHECK_THROWS_WITH_AS(make_cache({.kind = "paged", .block_len = 11}, sizes),
                       "blocks of 11 rows in a cache for 10 tokens: choose block=1 to block=10", ShapeError);
  CHECK_THROWS_WITH_AS(make_cache({.kind = "paged", .block_len = 4, .n_blocks = 2}, sizes),
                       "2 blocks of 4 rows are too few: the pool must hold one text of the whole context (10 "
                       "tokens), so choose "
                       "blocks=3 or more",
                       ShapeError);
  CHECK_THROWS_WITH_AS(make_cache({.kind = "contiguous", .share_prefix = true}, sizes),
                       "a contiguous cache cannot share prefixes: use a paged cache", UsageError);
  CHECK_THROWS_WITH_AS(PagedCache(pages(4, 5, 1), 1), doctest::Contains("block_len 5 > max_seq_len 4"),
                       ShapeError);
  CHECK_THROWS_WITH_AS(PagedCache(pages(4, 2, 4), 0), doctest::Contains("n_seqs is 0"), ShapeError);
  CacheSizes huge = sizes;
  huge.n_seqs = huge.max_seq_len = 1 << 20;
  CHECK_THROWS_WITH_AS(cache_spec({.kind = "paged", .block_len = 1}, huge),
                       doctest::Contains("use larger blocks"), ShapeError);
  huge.n_seqs = 0;
  CHECK_THROWS_AS(cache_spec({.kind = "paged"}, huge), ShapeError);
}

TEST_CASE("wrong requests to a paged cache are refused with a message, and calls out of order abort") {
  PagedCache cache(pages(/*max_seq_len=*/4, /*block_len=*/2, /*n_blocks=*/4), /*n_seqs=*/2);
  feed(cache, 0, {1, 2, 3});
  CHECK_THROWS_WITH_AS(plan(cache, 0, {4, 5}), doctest::Contains("kv_len 5 > max_seq_len 4"), CapacityError);
  CHECK_THROWS_WITH_AS(plan(cache, 2, {1}), doctest::Contains("there is no sequence 2: the cache has 2"),
                       UsageError);
  CHECK_THROWS_WITH_AS(cache.fork(1, 0), doctest::Contains("sequence 0 holds 3 rows"), UsageError);
  CHECK_THROWS_WITH_AS(cache.fork(0, 2), doctest::Contains("there is no sequence 2"), UsageError);
  CHECK_THROWS_WITH_AS(cache.fork(-1, 1), doctest::Contains("there is no sequence -1"), UsageError);
  const Ints token{4};
  const SequenceInput twice[] = {{0, token, LogitRows::last}, {0, token, LogitRows::last}};
  CHECK_THROWS_WITH_AS(cache.plan(twice), doctest::Contains("sequence 0 appears twice"), UsageError);
  CHECK(aborts([&] { cache.truncate(0, 4); }));
  CHECK(aborts([&] { cache.slot(0, 3); }));
  CHECK(aborts([&] { cache.position_of(0, -1); }));
  CHECK(aborts([&] { cache.length(2); }));
  CHECK(aborts([&] { cache.adopt_prefix(0, token); }));
  const StepPlan& planned = plan(cache, 0, {4});
  const StepPlan other = planned;
  CHECK(aborts([&] { plan(cache, 0, {4}); }));
  CHECK(aborts([&] { cache.truncate(0, 0); }));
  CHECK(aborts([&] { cache.reset(0); }));
  CHECK(aborts([&] { cache.fork(0, 1); }));
  CHECK(aborts([&] { cache.adopt_prefix(1, token); }));
  CHECK(aborts([&] { cache.commit(other); }));
  CHECK(aborts([&] { cache.abort(other); }));
  CHECK(aborts([&] { cache.copy_from(PagedCache(pages(4, 2, 4), 2)); }));
  cache.commit(planned);
  CHECK(aborts([&] { cache.commit(planned); }));
  CHECK(aborts([&] { cache.copy_from(PagedCache(pages(4, 2, 4), 3)); }));
  CHECK(aborts([&] { cache.copy_from(PagedCache(pages(4, 2, 5), 2)); }));
  CHECK(aborts([&] { cache.copy_from(PagedCache(pages(4, 2, 4), 2, SharePrefixes::yes)); }));
}
