#include <doctest/doctest.h>

#include <set>

#include "cache/kv_cache.h"
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

TEST_CASE("offsets of all rows fill the storage exactly once") {
  const RowLayout layout{3, 5, 7};
  std::set<int64_t> offsets;
  for (int64_t slot = 0; slot < 4 * 5; ++slot)
    for (int32_t g = 0; g < 3; ++g) offsets.insert(row_offset(layout, slot, g));
  CHECK(offsets.size() == 60);
  CHECK(*offsets.rbegin() == 59 * 7);
}

TEST_CASE("a step through the book: prefill of three, then one more") {
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
  CHECK(cache.length(0) == 0);  // not before commit
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
  CHECK(aborts([&] { cache.length(1); }));
}

TEST_CASE("wrong requests are refused in words") {
  ContiguousCache cache(CacheSpec::contiguous(1, 1, 4, 2));
  const SequenceInput unknown{1, {}, LogitRows::last}, known{0, {}, LogitRows::last};
  CHECK_THROWS_WITH_AS(cache.plan({&unknown, 1}), doctest::Contains("made for 1"), UsageError);
  const SequenceInput twice[] = {known, known};
  CHECK_THROWS_WITH_AS(cache.plan(twice), doctest::Contains("twice"), UsageError);
  CHECK_THROWS_AS(validate(CacheSpec::contiguous(0, 1, 4, 2)), ShapeError);
  CHECK_THROWS_AS(validate(CacheSpec::contiguous(1 << 30, 1 << 30, 1 << 30, 1 << 30)), ShapeError);
}

TEST_CASE("a book for more slots than int32 counts costs little") {
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
