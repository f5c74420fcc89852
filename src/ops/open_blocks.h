// Which blocks of K still have their rows in f32, and how these rows are laid out (cache/sealing.h).
//
//   OpenBlocks open(spec);                    KvStorage has one: KvStorage::open_blocks
//   open.set(plan.open_blocks);               begin_step calls it: the open blocks of this step
//   int64_t slot_in_open = open.slot_of(slot);
//
// There are none unless K has a scale for each channel of a block (CacheSpec::n_open_blocks).
//
// The open rows of one layer are f32 [n_open_blocks, n_kv_heads, block_len, head_dim]. KvStorage::open_keys has their
// memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "cache/cache_spec.h"
#include "core/error.h"
#include "core/tensor.h"

namespace lastrow {

class OpenBlocks {
 public:
  explicit OpenBlocks(const CacheSpec& spec)
      : block_len_(spec.block_len),
        shape_(shape_of(spec)),
        numbers_(spec.n_open_blocks > 0 ? static_cast<size_t>(spec.n_blocks) : 0, -1) {}

  bool exist() const { return shape_[0] > 0; }
  /// [n_open_blocks, n_kv_heads, block_len, head_dim]
  static Shape shape_of(const CacheSpec& spec) {
    return {spec.n_open_blocks, spec.n_kv_heads, spec.block_len, spec.head_dim};
  }
  const Shape& shape() const { return shape_; }
  static int64_t layer_bytes(const CacheSpec& spec) {
    return shape_of(spec).size() * static_cast<int64_t>(sizeof(float));
  }
  /// [n_blocks], on the host, as StepPlan::open_blocks of the last step: for each block the number of the open block
  /// that has its rows; −1: it is sealed. Empty if there are no open blocks.
  std::span<const int32_t> numbers() const { return numbers_; }
  /// The same size as before.
  void set(std::span<const int32_t> numbers) {
    LASTROW_CHECK(numbers.size() == numbers_.size(), "{} open blocks, not {}", numbers.size(),
                  numbers_.size());
    std::copy(numbers.begin(), numbers.end(), numbers_.begin());
  }
  /// The slot among the open rows where K of a slot is; −1: it is sealed.
  int64_t slot_of(int64_t slot) const {
    const int32_t number = numbers_[static_cast<size_t>(slot / block_len_)];
    return number < 0 ? -1 : int64_t{number} * block_len_ + slot % block_len_;
  }

 private:
  int32_t block_len_;
  Shape shape_;
  std::vector<int32_t> numbers_;
};

}  // namespace lastrow
