// K with a scale for each channel of a block, as kernels read it: codes in sealed blocks, f32 rows in open blocks
// (cache/kv_channels.h, cache/sealing.h).
//
//   const ChannelKeys k = channel_keys(storage);                on the host
//   const ChannelRow row = channel_row(k, block, place, g);
//   float x = element(k, row, d);
#pragma once

#include "cache/kv_channels.h"
#include "gpu/parts/attend_call.h"
#include "gpu/target/target.h"

namespace lastrow::LASTROW_TARGET {

struct ChannelKeys {
  Global<const Int8Channel> g_codes;    // [n_blocks, n_kv_heads, block_len, head_dim]
  Global<const float> g_scales;         // [n_blocks, n_kv_heads, head_dim]
  Global<const float> g_open;           // [n_open_blocks, n_kv_heads, block_len, head_dim]
  Global<const int32_t> g_open_blocks;  // [n_blocks]   −1: the block is sealed
  RowLayout layout;
};

inline ChannelKeys channel_keys(const gpu::ChannelStorage<const void>& k) {
  return {{static_cast<const Int8Channel*>(k.codes), k.n_elems(), "g_k"},
          {static_cast<const float*>(k.scales), k.n_scales(), "g_k_scales"},
          {static_cast<const float*>(k.open_keys), k.n_open_elems(), "g_open"},
          {k.open_blocks, k.n_blocks, "g_open_blocks"},
          k.layout};
}

/// Where a row begins, among the codes or among the open rows, and where the scales of its block begin.
struct ChannelRow {
  int64_t first, first_scale;
  bool is_open;
};

/// The row at a place of a block, of K/V head g.
__device__ inline ChannelRow channel_row(const ChannelKeys& k, int64_t block, int64_t place, int32_t g) {
  const int32_t open = k.g_open_blocks.load(block);
  return {row_in(k.layout, open < 0 ? block : open, place, g) * k.layout.head_dim,
          channel_scales_offset(k.layout, block, g), open >= 0};
}

__device__ inline float element(const ChannelKeys& k, const ChannelRow& row, int32_t d) {
  if (row.is_open) return k.g_open.load(row.first + d);
  return decode_channel(k.g_codes.load(row.first + d), k.g_scales.load(row.first_scale + d));
}

}  // namespace lastrow::LASTROW_TARGET
