#include "cache/prefix_index.h"

#include <doctest/doctest.h>

#include "support/aborts.h"

using namespace lastrow;
using lastrow::testing::aborts;
using Ints = std::vector<int32_t>;

namespace {

constexpr int32_t kRoot = PrefixIndex::kRoot, kNone = PrefixIndex::kNone;

/// Writes the tokens of a block of two, and adds it.
void add(PrefixIndex& index, int32_t block, int32_t parent, const Ints& tokens) {
  index.write(2 * block, tokens[0]);
  index.write(2 * block + 1, tokens[1]);
  index.add(block, parent);
}

/// Returns the idle blocks that were removed, in order.
Ints remove(PrefixIndex& index, int32_t block) {
  Ints removed;
  index.remove(block, [&](int32_t idle) { removed.push_back(idle); });
  return removed;
}

Ints idle(const PrefixIndex& index) {
  Ints blocks;
  for (int32_t block = index.oldest_idle(); block != kNone; block = index.next_idle(block))
    blocks.push_back(block);
  return blocks;
}

}  // namespace

TEST_CASE("a tree of prefixes by eye") {
  PrefixIndex index(/*n_blocks=*/6, /*block_len=*/2);
  add(index, 3, kRoot, {1, 1});  //   1 1 ── 2 2 ── 3 3
  add(index, 0, 3, {2, 2});      //    └──── 4 4
  add(index, 5, 0, {3, 3});
  add(index, 1, 3, {4, 4});
  CHECK(index.find(kRoot, Ints{1, 1}) == 3);
  CHECK(index.find(3, Ints{2, 2}) == 0);
  CHECK(index.find(3, Ints{4, 4}) == 1);
  CHECK(index.find(0, Ints{3, 3}) == 5);
  CHECK(index.find(kRoot, Ints{2, 2}) == kNone);  // these tokens, but behind others
  CHECK(index.find(1, Ints{3, 3}) == kNone);
  CHECK(index.find(3, Ints{2, 3}) == kNone);

  for (const int32_t block : {5, 0, 1, 3}) index.set_idle(block);
  CHECK(idle(index) == Ints{5, 0, 1, 3});
  index.set_busy(3);
  index.set_busy(0);
  CHECK(idle(index) == Ints{5, 1});
  CHECK(remove(index, 0) == Ints{5});  // with what is below it
  CHECK(idle(index) == Ints{1});
  CHECK(index.n_idle() == 1);
  CHECK(index.find(3, Ints{2, 2}) == kNone);
  CHECK_FALSE(index.contains(5));
  CHECK(index.find(3, Ints{4, 4}) == 1);
  CHECK(remove(index, 3) == Ints{1});
  CHECK(index.find(kRoot, Ints{1, 1}) == kNone);
}

TEST_CASE("of two equal blocks the last one is found, then the other one") {
  PrefixIndex index(4, 2);
  add(index, 0, kRoot, {1, 1});
  add(index, 1, kRoot, {1, 1});
  CHECK(index.find(kRoot, Ints{1, 1}) == 1);
  remove(index, 1);
  CHECK(index.find(kRoot, Ints{1, 1}) == 0);
}

TEST_CASE("the hash depends on each token and on what is before them") {
  const uint64_t hash = prefix_hash(0, Ints{1, 2, 3});
  for (const Ints& other : {Ints{0, 2, 3}, Ints{1, 0, 3}, Ints{1, 2, 0}, Ints{2, 1, 3}, Ints{1, 2, -3}})
    CHECK(prefix_hash(0, other) != hash);
  CHECK(prefix_hash(1, Ints{1, 2, 3}) != hash);
}

TEST_CASE("wrong calls of the index stop the program") {
  PrefixIndex index(3, 2);
  add(index, 0, kRoot, {1, 1});
  CHECK(aborts([&] { index.add(0, kRoot); }));  // it is there
  CHECK(aborts([&] { index.add(1, 2); }));      // its parent is not
  CHECK(aborts([&] { index.set_busy(0); }));
  CHECK(aborts([&] { index.set_idle(1); }));
  CHECK(aborts([&] { index.overwritten(0); }));
  CHECK(aborts([&] { remove(index, 1); }));
  index.set_idle(0);
  CHECK(aborts([&] { index.set_idle(0); }));
}
