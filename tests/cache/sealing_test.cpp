// K with a scale for each channel of a block: when a block is sealed, and where its rows are until then.
#include "cache/sealing.h"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "cache/make_cache.h"
#include "cache/pages.h"
#include "core/error.h"
#include "core/random.h"

using namespace lastrow;
using namespace lastrow::testing;

namespace {

CacheOptions in_channels(int32_t block_len) {
  return {.kind = "paged", .block_len = block_len, .dtype_k = DType::i8_channel, .dtype_v = DType::i8};
}

CacheSizes sealed_sizes(int32_t longest_step, int32_t n_seqs = 1, int32_t max_seq_len = 64) {
  return {.n_layers = 2,
          .n_kv_heads = 1,
          .head_dim = 4,
          .max_seq_len = max_seq_len,
          .n_seqs = n_seqs,
          .longest_step = longest_step};
}

Ints sevens(int32_t n) { return Ints(static_cast<size_t>(n), 7); }

}  // namespace

TEST_CASE("by eye: in blocks of 4 and steps of up to 4, block 0 is sealed by the step to 8 rows") {
  const auto cache = make_cache(in_channels(4), sealed_sizes(4));
  CHECK(cache->spec().n_open_blocks == 3);  // up to 7 rows wait before a step, and it adds 4
  const StepPlan& first = plan(*cache, 0, {1, 2, 3});
  CHECK(first.open_blocks[0] == 0);
  CHECK(first.open_slots == Slots{0, 1, 2});
  CHECK(first.seals.empty());
  cache->commit(first);
  feed(*cache, 0, {4, 5, 6, 7});
  const StepPlan& eighth = plan(*cache, 0, {8});
  CHECK(eighth.append_slots == Slots{7});
  CHECK(eighth.open_blocks[0] == 0);  // this step still reads block 0 in f32
  CHECK(eighth.open_blocks[1] == 1);
  CHECK(eighth.seals == Ints{0});
  cache->commit(eighth);
  const StepPlan& ninth = plan(*cache, 0, {9});
  CHECK(ninth.open_blocks[0] == -1);  // and this one reads its codes
  CHECK(ninth.open_blocks[2] == 2);
  CHECK(ninth.seals.empty());
  cache->commit(ninth);
  feed(*cache, 0, {10, 11, 12});
  const StepPlan& thirteenth = plan(*cache, 0, {13});
  CHECK(thirteenth.open_blocks[3] == 0);  // where the rows of block 0 were
  CHECK(thirteenth.open_slots == Slots{0});
}

TEST_CASE("a sequence goes back to lengths with the same sealed blocks, and to 0") {
  const auto cache = make_cache(in_channels(4), sealed_sizes(4));
  for (int32_t n = 0; n < 14; ++n) feed(*cache, 0, {n});
  CHECK(cache->can_truncate(0, 12));  // 8 rows are sealed, as with 14
  CHECK(!cache->can_truncate(0, 11));
  CHECK_THROWS_WITH_AS(
      cache->truncate(0, 11),
      "sequence 0 of 14 tokens cannot go back to 11: blocks of K that were in f32 then have been "
      "rounded to int8; go back to 0 and feed the tokens again",
      UsageError);
  cache->truncate(0, 12);
  CHECK(plan(*cache, 0, {1}).open_blocks[2] == 2);
}

TEST_CASE("an aborted step seals the same blocks when it is planned again") {
  const auto cache = make_cache(in_channels(2), sealed_sizes(2));
  for (int32_t n = 0; n < 3; ++n) feed(*cache, 0, {n});
  const StepPlan& failed = plan(*cache, 0, {3});
  CHECK(failed.seals == Ints{0});
  cache->abort(failed);
  const StepPlan& again = plan(*cache, 0, {3});
  CHECK(again.seals == Ints{0});
  CHECK(again.open_blocks[0] == 0);
}

TEST_CASE("whatever is fed, taken back or aborted, each row is where the plan says, in f32 or as codes") {
  Random random(7, 1);
  int64_t n_operations = 0, n_seals = 0, n_back = 0;
  while (n_operations < 100'000) {
    const auto block_len = static_cast<int32_t>(1 + random.below(5)),
               longest = static_cast<int32_t>(1 + random.below(7)),
               n_seqs = static_cast<int32_t>(1 + random.below(3));
    const auto cache = make_cache(in_channels(block_len), sealed_sizes(longest, n_seqs, 40));
    std::map<int64_t, std::pair<int32_t, int32_t>> open, codes;  // slot → sequence and index of the row there
    for (int32_t operation = 0; operation < 500; ++operation, ++n_operations) {
      const auto sequence = static_cast<int32_t>(random.below(n_seqs));
      const int32_t length = cache->length(sequence);
      const auto what = random.below(10);
      if (what == 0 && length > 0) {
        const auto to = static_cast<int32_t>(random.below(length + 1));
        if (cache->can_truncate(sequence, to)) {
          cache->truncate(sequence, to);
          ++n_back;
        }
        continue;
      }
      if (what == 1 || length == 40) {
        cache->reset(sequence);
        continue;
      }
      const auto n = static_cast<int32_t>(1 + random.below(std::min(longest, 40 - length)));
      const StepPlan& step = plan(*cache, sequence, sevens(n));
      for (int32_t t = 0; t < n; ++t) open[step.open_slots[static_cast<size_t>(t)]] = {sequence, length + t};
      for (int32_t other = 0; other < n_seqs; ++other)
        for (int32_t index = 0; index < cache->length(other); ++index) {
          const int64_t slot = cache->slot(other, index), block = slot / block_len;
          const int32_t at = step.open_blocks[static_cast<size_t>(block)];
          const auto row = at >= 0 ? open[int64_t{at} * block_len + slot % block_len] : codes[slot];
          REQUIRE(row == std::pair{other, index});
        }
      for (const int32_t block : step.seals)
        for (int32_t i = 0; i < block_len; ++i)
          codes[int64_t{block} * block_len + i] =
              open[int64_t{step.open_blocks[static_cast<size_t>(block)]} * block_len + i];
      if (what == 2) {
        cache->abort(step);
      } else {
        n_seals += static_cast<int64_t>(step.seals.size());
        cache->commit(step);
      }
    }
  }
  CHECK(n_seals > 1000);
  CHECK(n_back > 1000);
}

TEST_CASE("no sequence needs more open blocks than n_open, and some need all of them") {
  for (int32_t block_len = 1; block_len <= 6; ++block_len)
    for (int32_t longest = 1; longest <= 9; ++longest) {
      const Sealing sealing{block_len, longest};
      int32_t most = 0;
      for (int32_t length = 0; length < 100; ++length) {
        const int32_t last = (length + longest + block_len - 1) / block_len;  // blocks after the longest step
        most = std::max(most, last - sealing.n_sealed(length));
      }
      CAPTURE(block_len);
      CAPTURE(longest);
      CHECK(most == sealing.n_open());
    }
}

TEST_CASE("bytes: codes, a scale for each channel of each block, and the open blocks in f32") {
  const CacheSpec spec = cache_spec(in_channels(16), sealed_sizes(16, 1, 64));
  const int64_t codes = 4 * 16 * 4, scales = 4 * 4 * 4, open = 3 * 16 * 4 * 4;
  CHECK(spec.n_open_blocks == 3);
  CHECK(spec.bytes_of(RowKind::k) == 2 * (codes + scales + open));  // 2 layers
  CHECK(spec.bytes_of(RowKind::v) == 2 * 64 * (4 + 4));
}

TEST_CASE("what cannot have scales for channels is refused, with what to do") {
  const auto message = [](CacheOptions o) -> std::string {
    o.dtype_k = DType::i8_channel;
    try {
      cache_spec(o, sealed_sizes(4));
      return "";
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  const std::string begin = "K as int8-channel has a scale for each channel of a block, and a block of a ",
                    end = ": use a paged cache, or int8";
  CHECK(message({}) == begin + "contiguous cache is the whole context" + end);
  CHECK(message({.kind = "window", .window = 4}) ==
        begin + "window cache gets new rows in place of old ones" + end);
  CHECK(message({.kind = "budget", .budget = 4}) ==
        begin + "budget cache gets new rows in place of old ones" + end);
  CHECK(message({.kind = "paged", .share_prefix = true}) ==
        "K as int8-channel cannot share prefixes, because blocks are sealed for one sequence: use int8");
  CHECK(message({.kind = "paged"}) == "");
  CHECK_THROWS_AS(validate(CacheSpec::contiguous(1, 1, 4, 8, 1, {DType::i8_channel, DType::i8})), ShapeError);
  const auto cache = make_cache(in_channels(4), sealed_sizes(4, 2));
  CHECK_THROWS_AS(cache->fork(0, 1), UsageError);
  CHECK_THROWS_WITH_AS(
      plan(*cache, 0, sevens(5)),
      "a step of 5 tokens of a sequence, but the cache has open blocks for steps of 4: feed 4 at "
      "most, or raise CacheSizes::longest_step",
      CapacityError);
}
