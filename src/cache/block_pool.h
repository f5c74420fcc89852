// The blocks of a cache: which are free, and how many sequences hold each of the others.
//
//   BlockPool pool(n_blocks);
//   int32_t block = pool.take();        from the free list; now one sequence holds it
//   pool.share(block);                  one more sequence holds it
//   if (pool.drop(block) == 0)          one sequence fewer; if none is left, the caller puts the block
//     pool.give_back(block);            on the free list, or keeps it because its rows are still useful
//
// * The free list is a stack: take() gives the block that was given back last. So a caller that gives blocks
//   back in reverse order gets the same blocks, in the same order, when it takes them again.
// * Do not give a block back while a sequence holds it, and do not give it back twice.
//
// Invariant: a block is on the free list, or held by holders(block) ≥ 1 sequences, or kept by the caller.
// Nothing allocates after the constructor.
#pragma once

#include <cstdint>
#include <vector>

namespace lastrow {

class BlockPool {
 public:
  /// All blocks are free. The first take() gives block 0, the next block 1, and so on.
  explicit BlockPool(int32_t n_blocks);

  int32_t n_blocks() const { return static_cast<int32_t>(holders_.size()); }
  int32_t n_free() const { return n_free_; }
  /// Blocks that at least one sequence holds, and blocks that two or more hold.
  int32_t n_used() const { return n_used_; }
  int32_t n_shared() const { return n_shared_; }
  /// How many sequences hold a block.
  int32_t holders(int32_t block) const { return holders_[block]; }

  /// The block that call number i of take() will give, 0 ≤ i < n_free, counted from 0.
  int32_t free_block(int32_t i) const { return free_[n_free_ - 1 - i]; }

  int32_t take();
  /// Also for a block that no sequence holds and that is not on the free list.
  void share(int32_t block);
  /// Returns how many sequences still hold it.
  int32_t drop(int32_t block);
  void give_back(int32_t block);

  /// Takes over the state of a pool of the same size. Allocates nothing.
  void copy_from(const BlockPool& other);

 private:
  std::vector<int32_t> free_;     // [n_blocks]   the first n_free_ are the free list; its top is the last
  std::vector<int32_t> holders_;  // [n_blocks]
  int32_t n_free_ = 0, n_used_ = 0, n_shared_ = 0;
};

}  // namespace lastrow
