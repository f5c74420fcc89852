#include <doctest/doctest.h>

#include <set>

#include "cache/contiguous_cache.h"
#include "cache/make_cache.h"
#include "core/error.h"
#include "support/aborts.h"

using namespace lastrow;
using lastrow::testing::aborts;

TEST_CASE("an index becomes a slot, a slot an offset") {
  const int32_t blocks[] = {5, 2};  // indices 0–3 in block 5, 4–7 in block 2
  const BlockTable table{blocks, 2, 4};
  CHECK(slot_of(table, 0) == 20);
  CHECK(slot_of(table, 3) == 23);
  CHECK(slot_of(table, 4) == 8);
  const RowLayout layout{3, 4, 10};  // [n_blocks, 3 K/V heads, 4 places, 10]
  CHECK(row_offset(layout, 0, 0) == 0);
  CHECK(row_offset(layout, 1, 0) == 10);                // the next place
  CHECK(row_offset(layout, 0, 1) == 40);                // the next head
  CHECK(row_offset(layout, 8, 2) == 2 * 120 + 2 * 40);  // block 2, head 2, place 0
}

TEST_CASE("a table may have blocks for sinks, and begin within a block behind them") {
  // Blocks of 4. Three sinks have block 5; the rows behind them begin at place 2 of block 7.
  //   block 5: s0 s1 s2 .      block 7: . . s3 s4      block 1: s5 s6 s7 s8
  const int32_t blocks[] = {5, 7, 1};
  const BlockTable table{blocks, 3, 4, 3, 2};
  const std::vector<int64_t> slots = {20, 21, 22, 30, 31, 4, 5, 6, 7};
  for (int32_t s = 0; s < 9; ++s) CHECK(slot_of(table, s) == slots[static_cast<size_t>(s)]);
  CHECK(entries_used(table, 3) == 1);
  CHECK(entries_used(table, 4) == 2);
  CHECK(entries_used(table, 9) == 3);
  CHECK(run_from(table, 1) == 2);
  CHECK(run_from(table, 3) == 2);
  CHECK(run_from(table, 6) == 3);
}

TEST_CASE("slots follow each other as far as a run goes, and no further") {
  const int32_t blocks[] = {3, 0, 6, 8, 2, 10, 12};
  for (const int32_t block_len : {1, 3, 4})
    for (const int32_t sinks : {0, 1, 3, 4, 5})
      for (int32_t first = 0; first < block_len; ++first) {
        const BlockTable table{blocks, 7, block_len, sinks, first};
        int32_t n = 0;
        while (n < 7 * block_len && entries_used(table, n + 1) <= 7) ++n;
        for (int32_t s = 0; s < n; ++s) {
          const int32_t run = run_from(table, s);
          REQUIRE(run > 0);
          for (int32_t i = 1; i < run && s + i < n; ++i)
            REQUIRE(slot_of(table, s + i) == slot_of(table, s) + i);
          if (s + run < n) REQUIRE(slot_of(table, s + run) != slot_of(table, s) + run);
        }
      }
}

TEST_CASE("offsets of all rows fill the storage exactly once") {
  const RowLayout layout{3, 5, 7};
  std::set<int64_t> offsets;
  for (int64_t slot = 0; slot < 4 * 5; ++slot)
    for (int32_t g = 0; g < 3; ++g) offsets.insert(row_offset(layout, slot, g));
  CHECK(offsets.size() == 60);
  CHECK(*offsets.rbegin() == 59 * 7);
}

TEST_CASE("two steps by eye: a prefill of three tokens, then one more") {
  ContiguousCache cache(CacheSpec::contiguous(2, 1, 4, /*max_seq_len=*/8));
  const int32_t prompt[] = {11, 12, 13};
  const SequenceInput prefill{0, prompt, LogitRows::last};
  const StepPlan& plan = cache.plan({&prefill, 1});
  CHECK(plan.tokens == std::vector<int32_t>{11, 12, 13});
  CHECK(plan.positions == std::vector<int32_t>{0, 1, 2});
  CHECK(plan.append_slots == std::vector<int64_t>{0, 1, 2});
  CHECK(plan.q_start == std::vector<int32_t>{0, 3});
  CHECK(plan.kv_len == std::vector<int32_t>{3});
  CHECK(plan.logit_rows == std::vector<int32_t>{2});
  CHECK(cache.length(0) == 0);  // the rows count only after commit
  cache.commit(plan);
  CHECK(cache.length(0) == 3);

  const int32_t next[] = {14};
  const SequenceInput decode{0, next, LogitRows::all};
  const StepPlan& second = cache.plan({&decode, 1});
  CHECK(second.positions == std::vector<int32_t>{3});
  CHECK(second.kv_len == std::vector<int32_t>{4});
  CHECK(second.logit_rows == std::vector<int32_t>{0});
  cache.abort(second);
  CHECK(cache.length(0) == 3);
  CHECK(cache.slot(0, 2) == 2);
  cache.truncate(0, 1);
  CHECK(cache.length(0) == 1);
}

TEST_CASE("sequences are packed, never padded, each in its own block") {
  ContiguousCache cache(CacheSpec::contiguous(1, 2, 4, 8, /*n_seqs=*/3));
  const int32_t a[] = {1, 2}, b[] = {3, 4, 5};
  const SequenceInput inputs[] = {{2, a, LogitRows::none}, {0, b, LogitRows::last}};
  const StepPlan& plan = cache.plan(inputs);
  CHECK(plan.tokens == std::vector<int32_t>{1, 2, 3, 4, 5});
  CHECK(plan.q_start == std::vector<int32_t>{0, 2, 5});
  CHECK(plan.block_tables == std::vector<int32_t>{2, 0});
  CHECK(plan.append_slots == std::vector<int64_t>{16, 17, 0, 1, 2});
  CHECK(plan.logit_rows == std::vector<int32_t>{4});
  cache.commit(plan);
  CHECK(cache.length(2) == 2);
  CHECK(cache.length(1) == 0);
}

TEST_CASE("a full cache says so and stays as it was") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 4, 2));
  const int32_t three[] = {1, 2, 3};
  const SequenceInput input{0, three, LogitRows::last};
  CHECK_THROWS_WITH_AS(cache.plan({&input, 1}), doctest::Contains("kv_len 3 > max_seq_len 2: raise"),
                       CapacityError);
  const SequenceInput fits{0, std::span(three).first(2), LogitRows::last};
  cache.commit(cache.plan({&fits, 1}));
  CHECK(cache.length(0) == 2);
}

TEST_CASE("an input without tokens has no logit row, also beside one that has some") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 4, 8, /*n_seqs=*/2));
  const int32_t a[] = {1, 2};
  const SequenceInput inputs[] = {{0, a, LogitRows::last}, {1, {}, LogitRows::last}};
  const StepPlan& plan = cache.plan(inputs);
  CHECK(plan.logit_rows == std::vector<int32_t>{1});
  CHECK(plan.kv_len == std::vector<int32_t>{2, 0});
}

TEST_CASE("calls out of order are our own mistake, and stop the program") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 4, 8));
  const int32_t a[] = {1, 2};
  const SequenceInput input{0, a, LogitRows::last};
  const StepPlan& plan = cache.plan({&input, 1});
  const StepPlan other = plan;
  CHECK(aborts([&] { cache.plan({&input, 1}); }));
  CHECK(aborts([&] { cache.truncate(0, 0); }));
  CHECK(aborts([&] { cache.commit(other); }));
  CHECK(aborts([&] { cache.abort(other); }));
  CHECK_FALSE(aborts([&] { cache.commit(plan); }));
  cache.commit(plan);
  CHECK(aborts([&] { cache.commit(plan); }));
  CHECK(aborts([&] { cache.abort(plan); }));
  CHECK(aborts([&] { cache.truncate(0, 3); }));
  CHECK(aborts([&] { cache.truncate(0, -1); }));
  CHECK_FALSE(aborts([&] { cache.truncate(0, 2); }));
  CHECK(aborts([&] { cache.slot(0, 2); }));
  CHECK(aborts([&] { cache.slot(0, -1); }));
  CHECK(aborts([&] { cache.position_of(0, 2); }));
  CHECK(aborts([&] { cache.position_of(0, -1); }));
  CHECK(aborts([&] { cache.length(1); }));
  CHECK(aborts([&] { cache.n_seen(1); }));
}

TEST_CASE("a contiguous cache forgets nothing: index s holds position s, and all tokens seen are held") {
  const auto cache = make_cache({}, {.n_layers = 1, .n_kv_heads = 2, .head_dim = 4, .max_seq_len = 8});
  const int32_t a[] = {11, 12, 13};
  const SequenceInput input{0, a, LogitRows::last};
  CHECK(cache->n_seen(0) == 0);
  cache->commit(cache->plan({&input, 1}));
  CHECK(cache->n_seen(0) == 3);
  CHECK(cache->length(0) == 3);
  for (int32_t index = 0; index < 3; ++index) CHECK(cache->position_of(0, index) == index);
  cache->truncate(0, 2);
  CHECK(cache->n_seen(0) == 2);
  CHECK(cache->plan({&input, 1}).positions == std::vector<int32_t>{2, 3, 4});
}

TEST_CASE("a cache is made by the name of its kind") {
  const CacheSizes sizes{.n_layers = 3, .n_kv_heads = 2, .head_dim = 4, .max_seq_len = 8, .n_seqs = 5};
  const CacheOptions options{.kind = "contiguous", .dtype_k = DType::bf16, .dtype_v = DType::f16};
  const CacheSpec spec = make_cache(options, sizes)->spec();
  CHECK(spec.n_layers == 3);
  CHECK(spec.n_kv_heads == 2);
  CHECK(spec.head_dim == 4);
  CHECK(spec.max_seq_len == 8);
  CHECK(spec.block_len == 8);
  CHECK(spec.n_blocks == 5);
  CHECK(spec.dtype_k == DType::bf16);
  CHECK(spec.dtype_v == DType::f16);
  CHECK(cache_spec(options, sizes).bytes() == spec.bytes());
  CHECK(cache_spec({}, sizes).dtypes() == KvDtypes(DType::f32));
  CHECK_THROWS_WITH_AS(make_cache({.kind = "pagd"}, sizes),
                       "unknown cache kind 'pagd': use contiguous, paged, window or budget", UsageError);
  CHECK_THROWS_AS(make_cache({.dtype_k = DType::f64}, sizes), ShapeError);
}

TEST_CASE("a copied cache continues like the original") {
  const CacheSizes sizes{.n_layers = 1, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 8, .n_seqs = 2};
  const auto cache = make_cache({}, sizes), copy = make_cache({}, sizes);
  const int32_t a[] = {11, 12, 13};
  const SequenceInput input{1, a, LogitRows::last};
  cache->commit(cache->plan({&input, 1}));
  copy->copy_from(*cache);
  CHECK(copy->length(0) == 0);
  CHECK(copy->length(1) == 3);
  cache->truncate(1, 1);
  CHECK(copy->length(1) == 3);  // the two caches are independent
  CHECK(copy->plan({&input, 1}).append_slots == std::vector<int64_t>{11, 12, 13});
  CHECK(aborts([&] { copy->copy_from(*cache); }));  // not while a step is planned
  CHECK(aborts([&] { cache->copy_from(*copy); }));
  CHECK(aborts([&] {
    cache->copy_from(*make_cache({}, {1, 1, 4, 8, 3}));
  }));  // not from a cache of another size
}

TEST_CASE("a plan says where a position is held") {
  const auto cache =
      make_cache({}, {.n_layers = 1, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 8, .n_seqs = 3});
  const int32_t a[] = {1, 2, 3}, b[] = {4};
  const SequenceInput prompt{2, a, LogitRows::last};
  cache->commit(cache->plan({&prompt, 1}));
  const SequenceInput step[] = {{0, b, LogitRows::last}, {2, b, LogitRows::last}, {1, {}, LogitRows::none}};
  const StepPlan& plan = cache->plan(step);
  CHECK(plan.index_of(0, 0) == 0);
  CHECK(plan.index_of(0, 1) == std::nullopt);
  for (int32_t position = 0; position < 4; ++position) CHECK(plan.index_of(1, position) == position);
  CHECK(plan.index_of(1, 4) == std::nullopt);
  CHECK(plan.index_of(2, 0) == std::nullopt);  // it holds no rows

  StepPlan window;  // holds the last three of ten positions
  window.tokens = {7};
  window.positions = {9};
  window.q_start = {0, 1};
  window.kv_len = {3};
  CHECK(window.index_of(0, 6) == std::nullopt);  // forgotten
  CHECK(window.index_of(0, 7) == 0);
  CHECK(window.index_of(0, 9) == 2);
  CHECK(window.index_of(0, 10) == std::nullopt);  // not yet seen
}

TEST_CASE("wrong requests are refused with a message") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 4, 2));
  const SequenceInput unknown{1, {}, LogitRows::last}, known{0, {}, LogitRows::last};
  CHECK_THROWS_WITH_AS(cache.plan({&unknown, 1}),
                       doctest::Contains("there is no sequence 1: the cache has 1"), UsageError);
  const SequenceInput twice[] = {known, known};
  CHECK_THROWS_WITH_AS(cache.plan(twice), doctest::Contains("twice"), UsageError);
  CHECK_THROWS_AS(validate(CacheSpec::contiguous(0, 1, 4, 2)), ShapeError);
  CHECK_THROWS_AS(validate(CacheSpec::contiguous(1 << 30, 1 << 30, 1 << 30, 1 << 30)), ShapeError);
}

TEST_CASE("a cache of more than 2^31 slots needs little host memory") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 1, 1 << 20, /*n_seqs=*/2049));
  const int32_t token[] = {7};
  const SequenceInput last{2048, token, LogitRows::last};
  CHECK(cache.plan({&last, 1}).append_slots[0] == int64_t{2048} << 20);
}

TEST_CASE("bytes are 2 · layers · heads · width · slots · size") {
  CHECK(CacheSpec::contiguous(32, 32, 128, 2048).bytes() == 2ll * 32 * 32 * 128 * 2048 * 4);
}

TEST_CASE("a plan that was reserved does not move when it is filled again") {
  StepPlan plan;
  plan.reserve(4, 1, 1);
  const void* where = plan.tokens.data();
  for (int round = 0; round < 3; ++round) {
    plan.clear();
    for (int i = 0; i < 4; ++i) plan.tokens.push_back(i);
    CHECK(plan.tokens.data() == where);
  }
}
