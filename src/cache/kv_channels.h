// int8 keys with a scale for each channel of a block ("int8-channel"): column d of a block has one scale for all rows
// of the block.
//
//   for (int32_t d = 0; d < head_dim; ++d) scales[d] = encode_channel(rows + d, n, head_dim, codes + d);
//   float x = decode_channel(codes[i * head_dim + d], scales[d]);
//   codes[…] = to_int8_within(x, scales[d]);       one element, with a scale that it did not choose
//
// Why: in large trained models a few channels of K are much larger than all others, in every row. With one scale for a
// row, these channels choose the scale, and the small ones become 0. A scale for a channel avoids that. V has no
// such channels, so it does not need this.
//
// A scale needs all rows of its block. So new rows stay in f32 until their block is *sealed*: it is full, and the rows
// of the longest step are behind it (cache/sealing.h, ops/seal_keys.h).
//
// Codes and scales are those of int8 (cache/kv_codec.h), with a channel of a block in place of a row: if a decoded
// block is encoded again, codes and scales are the same. If a channel holds NaN or infinity, the whole channel of
// the block decodes to NaN.
//
//   codes    [n_blocks, n_kv_heads, block_len, head_dim]
//   scales   [n_blocks, n_kv_heads, head_dim] f32
//
// Source: Liu et al. 2024, "KIVI: A Tuning-Free Asymmetric 2bit Quantization for KV Cache", section 3. There the
// codes have a zero point; here they are symmetric.
#pragma once

#include <cstdint>

#include "cache/kv_codec.h"

namespace lastrow {

/// The code of an element whose scale was chosen for other elements: one that is too large becomes ±127, and NaN
/// becomes 0.
LASTROW_HD constexpr Int8Channel to_int8_within(float x, float scale) {
  const float most = 127.0f * scale;
  if (x != x) return {0};
  return {to_int8(x > most ? most : x < -most ? -most : x, scale)};
}

LASTROW_HD constexpr float decode_channel(Int8Channel c, float scale) { return decode(c.code, scale); }

/// One channel of n rows, whose elements are `stride` apart in both arrays. Returns its scale.
LASTROW_HD constexpr float encode_channel(const float* x, int32_t n, int64_t stride, Int8Channel* codes) {
  uint32_t largest = 0;
  for (int32_t i = 0; i < n; ++i) {
    const uint32_t magnitude = magnitude_of(x[i * stride]);
    largest = magnitude > largest ? magnitude : largest;
  }
  const float scale = int8_scale(largest);
  for (int32_t i = 0; i < n; ++i) codes[i * stride] = {to_int8(x[i * stride], scale)};
  return scale;
}

}  // namespace lastrow
