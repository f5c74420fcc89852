// Rows of K with a scale for each channel of a block, loaded as any_rows.h loads rows of the other types.
//
//   const ChannelRows rows = channel_rows(call);          on the host
//   load_rows(rows, r_places, d, r_row);                  elements d … d + 7 of each row; −1: zeros
//   widen<float>(r_row[j], x);                            x [8]
//
// A lane has eight channels, and each of them has a scale of its own. So the product with the scales is made while the
// row is loaded, and a loaded row is f32, as the rows of open blocks are. It is exact (cache/kv_codec.h).
// head_dim must be a multiple of 8.
#pragma once

#include "gpu/parts/any_rows.h"
#include "gpu/parts/channel_keys.h"

namespace lastrow::LASTROW_TARGET {

struct ChannelRows {
  static constexpr DType dtype = DType::f32;  // of loaded rows
  ChannelKeys keys;
};

inline ChannelRows channel_rows(const gpu::AttendCall& c) { return {channel_keys(c.k_channels)}; }

/// Eight floats.
__device__ inline void load_floats(const Global<const float>& g_x, int64_t at, float (&x)[kAnyElems]) {
  for (int32_t i = 0; i < kAnyElems; i += 4) {
    const auto loaded = g_x.template load_vec<4>(at + i);
    for (int32_t e = 0; e < 4; ++e) x[i + e] = loaded.x[e];
  }
}

/// Loads elements d … d + 7 of the rows at r_places, which count through [n_blocks, n_kv_heads, block_len].
template <int32_t kRows>
__device__ inline void load_rows(const ChannelRows& rows, const int32_t (&r_places)[kRows], int32_t d,
                                 AnyElems (&r_rows)[kRows]) {
  const ChannelKeys& k = rows.keys;
  const auto [n_kv_heads, block_len, head_dim] = k.layout;
  for (int32_t j = 0; j < kRows; ++j) {
    float r_x[kAnyElems] = {};
    if (r_places[j] >= 0 && d < head_dim) {
      const int32_t head = r_places[j] / block_len;  // (block, g)
      const ChannelRow row = channel_row(k, head / n_kv_heads, r_places[j] % block_len, head % n_kv_heads);
      load_floats(row.is_open ? k.g_open : k.g_scales, (row.is_open ? row.first : row.first_scale) + d, r_x);
      if (!row.is_open) {
        const auto codes = pack(k.g_codes.template load_vec<kAnyElems>(row.first + d));
        float r_codes[kAnyElems];
        for (int32_t w = 0; w < kAnyElems / 4; ++w) widen_word<int8_t>(codes.x[w], r_codes + 4 * w);
        for (int32_t i = 0; i < kAnyElems; ++i) r_x[i] *= r_codes[i];
      }
    }
    for (int32_t i = 0; i < kAnyElems; ++i) r_rows[j].words[i] = std::bit_cast<uint32_t>(r_x[i]);
  }
}

}  // namespace lastrow::LASTROW_TARGET
