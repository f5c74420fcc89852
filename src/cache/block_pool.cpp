#include "cache/block_pool.h"

#include "core/error.h"

namespace lastrow {

BlockPool::BlockPool(int32_t n_blocks) : free_(n_blocks), holders_(n_blocks, 0), n_free_(n_blocks) {
  for (int32_t i = 0; i < n_blocks; ++i) free_[i] = n_blocks - 1 - i;
}

int32_t BlockPool::take() {
  LASTROW_CHECK(n_free_ > 0, "take() of {} blocks that are all in use", n_blocks());
  const int32_t block = free_[--n_free_];
  share(block);
  return block;
}

void BlockPool::share(int32_t block) {
  const int32_t n = ++holders_[block];
  if (n == 1) ++n_used_;
  if (n == 2) ++n_shared_;
}

int32_t BlockPool::drop(int32_t block) {
  LASTROW_CHECK(holders_[block] > 0, "drop() of block {}, which no sequence holds", block);
  const int32_t n = --holders_[block];
  if (n == 1) --n_shared_;
  if (n == 0) --n_used_;
  return n;
}

void BlockPool::give_back(int32_t block) {
  LASTROW_CHECK(holders_[block] == 0, "give_back() of block {}, which {} sequences hold", block,
                holders_[block]);
  LASTROW_CHECK(n_free_ < n_blocks(), "give_back() of block {}, but all {} are free", block, n_blocks());
  free_[n_free_++] = block;
}

void BlockPool::copy_from(const BlockPool& other) {
  LASTROW_CHECK(other.n_blocks() == n_blocks(), "copy_from() a pool of {} blocks to one of {}",
                other.n_blocks(), n_blocks());
  *this = other;  // vectors of equal size: copies, allocates nothing
}

}  // namespace lastrow
