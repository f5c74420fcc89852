// Judged by slot_of and row_offset, with which all code of the project finds its rows.
#include <algorithm>

#include "cache/index.h"
#include "core/random.h"
#include "lessons/exercises/checkers/checker.h"

using namespace lastrow;
using namespace lastrow::exercises;

namespace {

/// A block table between entries that belong to no sequence.
class Table {
 public:
  static constexpr int32_t kNoOnes = 77'777'777;
  explicit Table(const std::vector<int32_t>& blocks) : all_(blocks.size() + 2 * kMargin, kNoOnes) {
    std::copy(blocks.begin(), blocks.end(), all_.begin() + kMargin);
  }
  const int32_t* blocks() const { return all_.data() + kMargin; }
  int32_t size() const { return static_cast<int32_t>(all_.size()) - 2 * kMargin; }

 private:
  static constexpr int32_t kMargin = 4096;
  std::vector<int32_t> all_;
};

struct Sizes {
  int32_t block_len, n_kv_heads, head_dim;
};

/// Is the element in a block that belongs to no sequence, or in no block?
bool is_astray(int64_t element, const Sizes& z) {
  return element < 0 || element >= int64_t{Table::kNoOnes} * z.n_kv_heads * z.block_len * z.head_dim;
}

/// "block 2, head 0, place 1" of an element.
std::string place_of(int64_t element, const Sizes& sizes) {
  if (is_astray(element, sizes)) return "in no block of the cache";
  const int64_t row = element / sizes.head_dim, head = row / sizes.block_len;
  return fmt::format("block {}, head {}, place {}{}", head / sizes.n_kv_heads, head % sizes.n_kv_heads,
                     row % sizes.block_len,
                     element % sizes.head_dim == 0 ? "" : fmt::format(", d {}", element % sizes.head_dim));
}

std::string hint_for(int64_t yours, const Table& table, const Sizes& z, int32_t index, int32_t g) {
  const int64_t block_elems = int64_t{z.n_kv_heads} * z.block_len * z.head_dim;
  const int64_t entry = index / z.block_len, place = index % z.block_len;
  if (is_astray(yours, z))
    return fmt::format(
        "Index {} is in entry {} of the block table, which has {} entries. Do you read another one? Do you "
        "compute everything in 64 bits?",
        index, entry, table.size());
  if (yours == (entry * block_elems) + (g * z.block_len + place) * z.head_dim)
    return "The number of the entry is not the block. The block is the value of this entry.";
  if (yours == ((table.blocks()[entry] * int64_t{z.block_len} + place) * z.n_kv_heads + g) * z.head_dim)
    return "Storage is [blocks, n_kv_heads, block_len, head_dim]: within a block the heads come first, each "
           "with its block_len rows together.";
  return "index / block_len is the entry of the table; index % block_len is the place in the block.";
}

void compare(const Table& table, const Sizes& z, int32_t index, int32_t g, bool by_eye = false) {
  const RowLayout layout{z.n_kv_heads, z.block_len, z.head_dim};
  const BlockTable rule{table.blocks(), table.size(), z.block_len};
  const int64_t yours = element_of(table.blocks(), z.block_len, z.n_kv_heads, z.head_dim, index, g),
                expected = row_offset(layout, slot_of(rule, index), g);
  if (yours == expected) return;
  Wrong wrong{fmt::format("index {}, head {}{}: element {} ({}), expected {} ({})", index, g,
                          by_eye ? ""
                                 : fmt::format(" (of {} heads, block_len {}, head_dim {})", z.n_kv_heads,
                                               z.block_len, z.head_dim),
                          yours, place_of(yours, z), expected, place_of(expected, z)),
              hint_for(yours, table, z, index, g)};
  if (by_eye) {
    wrong.head = {"", "yours", "expected"};
    for (int32_t i = 0; i < table.size() * z.block_len; ++i) {
      const int64_t element = element_of(table.blocks(), z.block_len, z.n_kv_heads, z.head_dim, i, g);
      wrong.rows.push_back({fmt::format("index {}", i),
                            is_astray(element, z) ? "in no block" : fmt::format("{}", element),
                            fmt::format("{}", row_offset(layout, slot_of(rule, i), g))});
    }
  }
  throw wrong;
}

void compare_all(const Table& table, const Sizes& z, bool by_eye = false) {
  for (int32_t g = 0; g < z.n_kv_heads; ++g)
    for (int32_t index = 0; index < table.size() * z.block_len; ++index) compare(table, z, index, g, by_eye);
}

std::vector<int32_t> shuffled(int32_t n, uint64_t seed) {
  std::vector<int32_t> blocks(static_cast<size_t>(n));
  for (int32_t i = 0; i < n; ++i) blocks[i] = 3 * i + 1;
  Random random(seed);
  for (int64_t i = n - 1; i > 0; --i) std::swap(blocks[i], blocks[random.below(i + 1)]);
  return blocks;
}

void check_06(Checker& c) {
  c.tries("blocks 5, 2, 7 of 4 indices, one head of one element: the element is the slot");
  compare_all(Table({5, 2, 7}), {4, 1, 1}, true);
  c.tries("the same blocks, 2 heads of 3 elements");
  compare_all(Table({5, 2, 7}), {4, 2, 3}, true);
  c.tries("one block for everything: a contiguous cache");
  compare_all(Table({0}), {12, 2, 8});
  c.tries("blocks of 1, 3, 16 and 32; 1, 3 and 8 heads; head_dim 8 and 80");
  for (const int32_t block_len : {1, 3, 16, 32})
    for (const int32_t n_kv_heads : {1, 3, 8})
      for (const int32_t head_dim : {8, 80})
        compare_all(Table(shuffled(9, block_len)), {block_len, n_kv_heads, head_dim});
  c.tries("a cache of more than 2^31 elements");
  compare(Table({3, 200'000}), {16, 8, 128}, 17, 5);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checker(
      argc, argv,
      {6, "the block table", "lessons/exercises/06_block_table.cpp",
       "Now look at src/cache/index.h, and at gpu/ladder/k08_paged.cu, which fetches the entries of "
       "the table one tile ahead. How often would your function read the table?"},
      check_06);
}
