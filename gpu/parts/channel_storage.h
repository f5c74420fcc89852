// Where K of one layer is, if it has a scale for each channel of a block (cache/kv_channels.h). It includes no CUDA.
#pragma once

#include <cstdint>

#include "cache/index.h"

namespace lastrow::LASTROW_TARGET {

/// The parts are those of KvStorage. Stored: void, or const void where K is only read.
template <typename Stored>
struct ChannelStorage {
  Stored* codes;               // [n_blocks, n_kv_heads, block_len, head_dim]
  Stored* scales;              // [n_blocks, n_kv_heads, head_dim]
  Stored* open_keys;           // [n_open_blocks, n_kv_heads, block_len, head_dim]
  const int32_t* open_blocks;  // [n_blocks], as StepPlan::open_blocks
  RowLayout layout;
  int64_t n_blocks, n_open_blocks;

  int64_t n_elems() const { return n_blocks * block_elems(); }
  int64_t n_open_elems() const { return n_open_blocks * block_elems(); }
  int64_t n_scales() const { return n_blocks * layout.n_kv_heads * layout.head_dim; }

 private:
  int64_t block_elems() const { return int64_t{layout.n_kv_heads} * layout.block_len * layout.head_dim; }
};

/// Where the scales of K/V head g of a block begin.
LASTROW_HD constexpr int64_t channel_scales(const RowLayout& layout, int64_t block, int32_t g) {
  return (block * layout.n_kv_heads + g) * layout.head_dim;
}

}  // namespace lastrow::LASTROW_TARGET
