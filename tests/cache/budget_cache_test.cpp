#include "cache/budget_cache.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ostream>
#include <vector>

#include "cache/allocations.h"
#include "cache/contiguous_cache.h"
#include "cache/pages.h"
#include "cache/slots.h"
#include "core/error.h"
#include "core/random.h"
#include "support/aborts.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

constexpr CacheSizes kSizes{
    .n_layers = 2, .n_kv_heads = 1, .head_dim = 4, .max_seq_len = 16, .n_seqs = 1, .longest_step = 1};

CacheOptions rows(int32_t budget, Eviction eviction, int32_t sinks = 0) {
  CacheOptions options;
  options.kind = "budget";
  options.budget = budget;
  options.eviction = eviction;
  options.sinks = sinks;
  return options;
}

CacheSizes sizes_of(int32_t max_seq_len, int32_t longest_step, int32_t n_seqs = 1) {
  CacheSizes sizes = kSizes;
  sizes.max_seq_len = max_seq_len;
  sizes.longest_step = longest_step;
  sizes.n_seqs = n_seqs;
  return sizes;
}

Ints positions(const KvCache& cache, int32_t sequence = 0) {
  Ints positions;
  for (int32_t i = 0; i < cache.length(sequence); ++i) positions.push_back(cache.position_of(sequence, i));
  return positions;
}

std::vector<double> masses(const BudgetCache& cache, int32_t sequence = 0) {
  std::vector<double> masses;
  for (int32_t i = 0; i < cache.length(sequence); ++i) masses.push_back(cache.mass_of(sequence, i));
  return masses;
}

/// A whole step of sequence 0 with these tokens. The rows get this mass, in the order of their indices.
void feed_with_mass(BudgetCache& cache, const Ints& tokens, std::vector<float> mass) {
  const StepPlan& planned = plan(cache, 0, tokens);
  mass.resize(static_cast<size_t>(planned.keys_per_seq()), 99.0f);  // behind kv_len: not read
  cache.add_mass(planned, mass);
  cache.commit(planned);
}

/// The positions that the last commit forgot, in order.
Ints victims(const KvCache& cache) {
  Ints positions;
  for (const EvictedRow& row : cache.evicted()) positions.push_back(row.position);
  return positions;
}

}  // namespace

TEST_CASE("by eye: a budget of three rows, the oldest goes") {
  BudgetCache cache(rows(3, Eviction::oldest), kSizes);
  CHECK(cache.spec().held_rows == 4);  // 3 + a step of 1
  for (const int32_t token : {10, 11, 12}) feed(cache, 0, {token});
  CHECK(slots(cache, 0) == Slots{0, 1, 2});
  CHECK(positions(cache) == Ints{0, 1, 2});
  CHECK(victims(cache) == Ints{});

  const StepPlan& fourth = plan(cache, 0, {13});
  CHECK(fourth.block_tables == Ints{0, 1, 2, 3});
  CHECK(fourth.key_positions == Ints{0, 1, 2, 3});
  CHECK(fourth.append_slots == Slots{3});
  CHECK(fourth.positions == Ints{3});
  CHECK(fourth.kv_len == Ints{4});  // its query sees four keys
  cache.commit(fourth);
  CHECK(victims(cache) == Ints{0});
  CHECK(slots(cache, 0) == Slots{1, 2, 3});
  CHECK(positions(cache) == Ints{1, 2, 3});
  CHECK(cache.length(0) == 3);
  CHECK(cache.n_seen(0) == 4);

  const StepPlan& fifth = plan(cache, 0, {14});  // goes to the slot that is free now, at position 4
  CHECK(fifth.block_tables == Ints{1, 2, 3, 0});
  CHECK(fifth.key_positions == Ints{1, 2, 3, 4});
  CHECK(fifth.append_slots == Slots{0});
  CHECK(fifth.positions == Ints{4});
  CHECK(fifth.index_of(0, 2) == 1);
  CHECK_FALSE(fifth.index_of(0, 0));
  cache.commit(fifth);
  CHECK(slots(cache, 0) == Slots{2, 3, 0});
  CHECK(positions(cache) == Ints{2, 3, 4});
  CHECK(cache.evicted().size() == 1);
  CHECK(cache.evicted()[0] == EvictedRow{0, 1, 1, 0});
  CHECK(cache.usage().rows_evicted == 2);
}

TEST_CASE("by eye: one sink and the two newest rows") {
  BudgetCache cache(rows(3, Eviction::sinks, 1), kSizes);
  for (const int32_t token : {10, 11, 12, 13}) feed(cache, 0, {token});
  CHECK(victims(cache) == Ints{1});
  CHECK(positions(cache) == Ints{0, 2, 3});
  CHECK(slots(cache, 0) == Slots{0, 2, 3});
  feed(cache, 0, {14});
  CHECK(victims(cache) == Ints{2});
  CHECK(positions(cache) == Ints{0, 3, 4});
  CHECK(slots(cache, 0) == Slots{0, 3, 1});
}

TEST_CASE("by eye: of three rows the two newest are safe, and of the others the one with more mass stays") {
  BudgetCache cache(rows(3, Eviction::heavy), kSizes);
  CHECK(cache.wants_mass());
  feed_with_mass(cache, {10}, {1});
  feed_with_mass(cache, {11}, {0.5f, 0.5f});
  feed_with_mass(cache, {12}, {0.25f, 0.25f, 0.5f});
  CHECK(masses(cache) == std::vector<double>{1.75, 0.75, 0.5});
  feed_with_mass(cache, {13}, {0.125f, 0.125f, 0.25f, 0.5f});
  CHECK(victims(cache) == Ints{1});  // 0.875 of position 1 is less than 1.875 of position 0
  CHECK(cache.evicted()[0].mass == 0.875);
  CHECK(positions(cache) == Ints{0, 2, 3});
  CHECK(masses(cache) == std::vector<double>{1.875, 0.75, 0.5});
  feed_with_mass(cache, {14}, {0, 2, 0, 0});  // now position 2 overtakes position 0
  CHECK(victims(cache) == Ints{0});
  CHECK(positions(cache) == Ints{2, 3, 4});
  feed_with_mass(cache, {15}, {0, 2.25f, 0, 0});  // 2.75 each: the older one goes
  CHECK(masses(cache) == std::vector<double>{2.75, 0, 0});
  CHECK(victims(cache) == Ints{2});
}

TEST_CASE("by eye: random victims are those of the seed, and never the newest row") {
  CacheOptions options = rows(3, Eviction::random);
  options.seed = 7;
  BudgetCache cache(options, kSizes);
  Random random(7);
  Ints expected;
  for (int32_t token = 0; token < 16; ++token) {
    feed(cache, 0, {token});
    expected.push_back(token);
    if (expected.size() > 3) expected.erase(expected.begin() + random.below(3));
    CHECK(positions(cache) == expected);
  }
}

TEST_CASE("a prompt longer than the budget is seen whole by its queries, then shrinks") {
  BudgetCache cache(rows(3, Eviction::sinks, 1), sizes_of(16, 6));
  const StepPlan& prefill = plan(cache, 0, {1, 2, 3, 4, 5, 6});
  CHECK(prefill.kv_len == Ints{6});
  CHECK(prefill.block_tables == Ints{0, 1, 2, 3, 4, 5, -1, -1, -1});
  CHECK(prefill.key_positions == Ints{0, 1, 2, 3, 4, 5, -1, -1, -1});
  CHECK(prefill.logit_rows == Ints{5});
  cache.commit(prefill);
  CHECK(victims(cache) == Ints{1, 2, 3});
  CHECK(positions(cache) == Ints{0, 4, 5});
  CHECK(cache.n_seen(0) == 6);
  feed(cache, 0, {7, 8});
  CHECK(victims(cache) == Ints{4, 5});
  CHECK(positions(cache) == Ints{0, 6, 7});
}

TEST_CASE("an abort forgets the step and its mass, and no victim") {
  BudgetCache cache(rows(2, Eviction::heavy), kSizes);
  feed_with_mass(cache, {1}, {3});
  feed_with_mass(cache, {2}, {0, 1});
  const std::vector<float> mass{0, 100, 0};
  for (int i = 0; i < 2; ++i) {
    const StepPlan& planned = plan(cache, 0, {3});
    cache.add_mass(planned, mass);
    cache.abort(planned);
  }
  CHECK(positions(cache) == Ints{0, 1});
  CHECK(masses(cache) == std::vector<double>{3, 1});
  CHECK(cache.usage().rows_evicted == 0);
  feed_with_mass(cache, {3}, {0, 0, 1});
  CHECK(victims(cache) == Ints{1});  // its mass is 1, without the 200 of the aborted steps
}

TEST_CASE("what cannot be undone is refused, and 0 and n_seen always work") {
  BudgetCache oldest(rows(3, Eviction::oldest), sizes_of(16, 4)),
      heavy(rows(3, Eviction::heavy), sizes_of(16, 4));
  feed(oldest, 0, {1, 2, 3});
  feed_with_mass(heavy, {1, 2, 3}, {1, 1, 1});
  CHECK(oldest.can_truncate(0, 2));  // nothing is forgotten yet
  CHECK_FALSE(heavy.can_truncate(0, 2));
  oldest.truncate(0, 2);
  CHECK(positions(oldest) == Ints{0, 1});
  feed(oldest, 0, {3, 4});
  CHECK(slots(oldest, 0) == Slots{1, 2, 3});
  for (const int32_t n : {1, 2, 3}) {
    CHECK_FALSE(oldest.can_truncate(0, n));
    CHECK_THROWS_WITH_AS(oldest.truncate(0, n), doctest::Contains("cannot go back from 4 tokens"),
                         UsageError);
  }
  CHECK(positions(oldest) == Ints{1, 2, 3});
  CHECK(oldest.can_truncate(0, 4));
  oldest.truncate(0, 4);
  CHECK(positions(oldest) == Ints{1, 2, 3});
  CHECK(oldest.can_truncate(0, 0));
  oldest.truncate(0, 0);
  CHECK(oldest.n_seen(0) == 0);
  CHECK(plan(oldest, 0, {1, 2}).append_slots == Slots{0, 1});  // as in a new cache
}

TEST_CASE("options that make no sense are refused, with what to do instead") {
  const auto refuses = [](const CacheOptions& options, const char* message) {
    CHECK_THROWS_WITH_AS(budget_spec(options, kSizes), doctest::Contains(message), UsageError);
  };
  refuses(rows(0, Eviction::oldest), "a budget of 0 rows");
  refuses(rows(4, Eviction::sinks, 4), "use 0 to 3 sinks");
  refuses(rows(4, Eviction::sinks, -1), "use 0 to 3 sinks");
  refuses(rows(4, Eviction::heavy, 1), "use the policy sinks");
  CacheOptions shares = rows(4, Eviction::oldest), sees = shares;
  shares.share_prefix = true;
  refuses(shares, "cannot share prefixes");
  sees.window = 8;
  refuses(sees, "a budget and a window of 8");
  CHECK_THROWS_AS(budget_spec(rows(4, Eviction::oldest), sizes_of(16, -1)), ShapeError);
  CHECK_THROWS_AS(budget_spec(rows(1 << 30, Eviction::oldest), sizes_of(1 << 30, 1 << 30, 4)), ShapeError);
}

TEST_CASE("make_cache makes it from what users write") {
  const CacheOptions options = cache_options("budget:rows=3,policy=sinks,sinks=1");
  const auto cache = make_cache(options, kSizes);
  CHECK(cache->spec().held_rows == 4);
  CHECK(cache->spec().bytes() == cache_spec(options, kSizes).bytes());
  CHECK_FALSE(cache->wants_mass());
  for (const int32_t token : {10, 11, 12, 13}) feed(*cache, 0, {token});
  CHECK(victims(*cache) == Ints{1});
  CHECK(make_cache(cache_options("budget:rows=3,policy=heavy"), kSizes)->wants_mass());
}

TEST_CASE("steps that do not fit, and rows that cannot be shared, are refused without a change") {
  BudgetCache cache(rows(3, Eviction::oldest), sizes_of(8, 2));
  feed(cache, 0, {1, 2});
  feed(cache, 0, {3, 4});
  CHECK_THROWS_WITH_AS(plan(cache, 0, {5, 6, 7}), doctest::Contains("feed at most 2 at once"), CapacityError);
  feed(cache, 0, {5, 6});
  feed(cache, 0, {7, 8});
  CHECK_THROWS_WITH_AS(plan(cache, 0, {9}), doctest::Contains("n_tokens 9 > max_seq_len 8"), CapacityError);
  CHECK_THROWS_AS(cache.fork(0, 0), UsageError);
  CHECK(positions(cache) == Ints{5, 6, 7});
  cache.reset(0);
  CHECK(cache.adopt_prefix(0, Ints{1, 2, 3}) == 0);
}

TEST_CASE("calls out of order are our own mistake, and stop the program") {
  BudgetCache cache(rows(3, Eviction::heavy), kSizes);
  const StepPlan& planned = plan(cache, 0, {1});
  const std::vector<float> mass(4, 1.0f);
  CHECK(aborts([&] { plan(cache, 0, {1}); }));
  CHECK(aborts([&] { cache.commit(planned); }));  // without its mass
  CHECK(aborts([&] { cache.add_mass(planned, std::span(mass).first(3)); }));
  cache.add_mass(planned, mass);
  CHECK_FALSE(aborts([&] { cache.commit(planned); }));
  CHECK(aborts([&] { cache.truncate(0, 0); }));
  cache.abort(planned);
  CHECK(aborts([&] { cache.add_mass(planned, mass); }));
  CHECK(aborts([&] { cache.slot(0, 0); }));
  CHECK(aborts([&] { cache.truncate(0, 1); }));
}

TEST_CASE("a budget of at least the length forgets nothing: the plans are those of a contiguous cache") {
  for (const Eviction eviction : {Eviction::oldest, Eviction::sinks, Eviction::heavy, Eviction::random}) {
    BudgetCache cache(rows(12, eviction), sizes_of(12, 0, 2));
    ContiguousCache contiguous(CacheSpec::contiguous(2, 1, 4, 12, 2));
    for (const auto& [sequence, n] : {std::pair{0, 5}, {1, 3}, {0, 1}, {1, 1}, {0, 6}, {1, 8}}) {
      const Ints tokens(static_cast<size_t>(n), 7);
      const StepPlan &a = plan(cache, sequence, tokens), &b = plan(contiguous, sequence, tokens);
      CHECK(a.tokens == b.tokens);
      CHECK(a.positions == b.positions);
      CHECK(a.q_start == b.q_start);
      CHECK(a.kv_len == b.kv_len);
      CHECK(a.append_slots == b.append_slots);
      CHECK(a.logit_rows == b.logit_rows);
      CHECK(a.sequences == b.sequences);
      CHECK(slots_of(a, 0, 0, a.kv_len[0]) == slots_of(b, 0, 0, b.kv_len[0]));
      for (int32_t s = 0; s < a.kv_len[0]; ++s) CHECK(a.key_positions[static_cast<size_t>(s)] == s);
      cache.add_mass(a, std::vector<float>(static_cast<size_t>(a.keys_per_seq()), 1.0f));
      cache.commit(a);
      contiguous.commit(b);
      CHECK(cache.evicted().empty());
    }
    CHECK(cache.usage().rows_evicted == 0);
    CHECK(cache.usage().rows_held == contiguous.usage().rows_held);
    CHECK(cache.spec().bytes() == contiguous.spec().bytes());
  }
}

TEST_CASE("in 10,000 steps no position drifts: it is the number of the token, whatever is forgotten") {
  constexpr int32_t kSteps = 10000;
  for (const Eviction eviction : {Eviction::oldest, Eviction::sinks, Eviction::heavy, Eviction::random}) {
    BudgetCache cache(rows(8, eviction, eviction == Eviction::sinks ? 2 : 0), sizes_of(kSteps, 1));
    Ints stored(static_cast<size_t>(cache.spec().n_blocks), -1);  // of each slot: the token that is there
    Random random(1);
    std::vector<float> mass(9);
    for (int32_t token = 0; token < kSteps; ++token) {
      const StepPlan& planned = plan(cache, 0, {token});
      REQUIRE(planned.positions[0] == token);
      stored[static_cast<size_t>(planned.append_slots[0])] = token;
      for (int32_t s = 0; s < planned.kv_len[0]; ++s) {
        const auto position = static_cast<size_t>(planned.key_positions[static_cast<size_t>(s)]);
        REQUIRE(stored[static_cast<size_t>(slots_of(planned, 0, s, s + 1)[0])] ==
                static_cast<int32_t>(position));
        mass[static_cast<size_t>(s)] = static_cast<float>(random.uniform());
      }
      cache.add_mass(planned, mass);
      cache.commit(planned);
    }
    CHECK(cache.n_seen(0) == kSteps);
    CHECK(cache.length(0) == 8);
    CHECK(cache.usage().rows_evicted == kSteps - 8);
    CHECK(positions(cache).back() == kSteps - 1);
    if (eviction == Eviction::oldest) CHECK(positions(cache).front() == kSteps - 8);
    if (eviction == Eviction::sinks) CHECK(positions(cache)[1] == 1);
  }
}

TEST_CASE("random victims are spread evenly over the candidates") {
  BudgetCache cache(rows(4, Eviction::random), sizes_of(8000, 1));
  Ints counts(4, 0);  // by index at the commit
  for (int32_t token = 0; token < 8000; ++token) {
    Ints before = positions(cache);
    feed(cache, 0, {token});
    for (const EvictedRow& row : cache.evicted())
      ++counts[static_cast<size_t>(std::ranges::find(before, row.position) - before.begin())];
  }
  // Each count is binomial with n 7,996 and p 1/4: mean 1,999, deviation 39. Five deviations are allowed.
  for (const int32_t count : counts) CHECK(std::abs(count - 1999) < 5 * 39);
}

TEST_CASE("the bytes are those of the rows, whatever the length of the text") {
  for (const int32_t budget : {1, 5, 16})
    for (const int32_t longest_step : {1, 4})
      for (const DType dtype : {DType::f32, DType::f16, DType::i8}) {
        CacheOptions options = rows(budget, Eviction::oldest);
        options.dtype_k = options.dtype_v = dtype;
        const BudgetCache cache(options, sizes_of(1000, longest_step, 3));
        const CacheSpec& spec = cache.spec();
        CHECK(spec.n_blocks == 3 * (budget + longest_step));
        CHECK(spec.bytes() == int64_t{2} * spec.n_layers * spec.n_kv_heads * 3 * (budget + longest_step) *
                                  spec.row_bytes(RowKind::k));
      }
  CHECK(budget_spec(rows(900, Eviction::oldest), sizes_of(1000, 200)).held_rows == 1000);
  CHECK(budget_spec(rows(9, Eviction::oldest), sizes_of(1000, 0)).held_rows == 1000);
}

TEST_CASE("no call allocates: decoding, evictions, undo") {
  for (const Eviction eviction : {Eviction::oldest, Eviction::sinks, Eviction::heavy, Eviction::random}) {
    BudgetCache cache(rows(4, eviction), sizes_of(64, 6, 2)), saved(rows(4, eviction), sizes_of(64, 6, 2));
    const Ints prompt{1, 2, 3, 4, 5, 6}, token{7};
    const SequenceInput start{0, prompt, LogitRows::last};
    const SequenceInput both[] = {{0, token, LogitRows::last}, {1, token, LogitRows::last}};
    const std::vector<float> mass(2 * 10, 0.5f);
    const int64_t before = n_allocations();
    for (int32_t round = 0; round < 20; ++round) {
      const StepPlan& prefill = cache.plan({&start, 1});
      cache.add_mass(prefill, std::span(mass).first(10));
      cache.commit(prefill);
      for (int32_t i = 0; i < 20; ++i) {
        saved.copy_from(cache);
        cache.abort(cache.plan(both));
        const StepPlan& planned = cache.plan(both);
        cache.add_mass(planned, mass);
        cache.commit(planned);
        if (i % 3 == 0) cache.copy_from(saved);
      }
      cache.reset(0);
      cache.truncate(1, 0);
    }
    CHECK(n_allocations() == before);
    CHECK(cache.usage().rows_evicted > 100);
  }
}
