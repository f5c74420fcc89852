// Gives blocks of K a scale for each channel, and stores their open rows as int8 codes (cache/kv_channels.h). The
// stored bits are those of every other backend.
//
// thread   one channel d of one K/V head g of one sealed block;  block of 128;  neighbours have neighbouring d
//          It reads its channel twice: for the largest magnitude, and for the codes
//
// Which blocks are sealed is read on the device, so a recorded step serves every step that seals as many.
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"
#include "gpu/parts/channel_keys.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 128;

__global__ void seal_keys_kernel(
    Global<const int32_t> g_seals,        // [n_seals]
    Global<const int32_t> g_open_blocks,  // [n_blocks]
    Global<const float> g_open,           // [n_open_blocks, n_kv_heads, block_len, head_dim]
    Global<Int8Channel> g_codes,          // [n_blocks, n_kv_heads, block_len, head_dim]
    Global<float> g_scales,               // [n_blocks, n_kv_heads, head_dim]
    RowLayout layout, int64_t n_channels) {
  const int64_t channel = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (channel >= n_channels) return;
  const auto d = static_cast<int32_t>(channel % layout.head_dim);
  const int64_t head = channel / layout.head_dim;
  const auto g = static_cast<int32_t>(head % layout.n_kv_heads);
  const int32_t block = g_seals.load(head / layout.n_kv_heads);
  const int64_t source = row_in(layout, g_open_blocks.load(block), 0, g) * layout.head_dim + d,
                target = row_in(layout, block, 0, g) * layout.head_dim + d;

  uint32_t largest = 0;
  for (int32_t i = 0; i < layout.block_len; ++i) {
    const uint32_t magnitude = magnitude_of(g_open.load(source + int64_t{i} * layout.head_dim));
    largest = magnitude > largest ? magnitude : largest;
  }
  const float scale = int8_scale(largest);
  g_scales.store(channel_scales_offset(layout, block, g) + d, scale);
  for (int32_t i = 0; i < layout.block_len; ++i) {
    const int64_t row = int64_t{i} * layout.head_dim;
    g_codes.store(target + row, {to_int8(g_open.load(source + row), scale)});
  }
}

}  // namespace

void seal_keys(const gpu::ChannelStorage<void>& k, const int32_t* seals, int32_t n_seals, Stream stream) {
  const int64_t n_channels = int64_t{n_seals} * k.layout.n_kv_heads * k.layout.head_dim;
  if (n_channels == 0) return;
  launch(Kernel{"seal_keys", seal_keys_kernel}, {static_cast<uint32_t>(ceil_div(n_channels, kThreads))},
         {kThreads}, 0, stream, Global<const int32_t>(seals, n_seals, "g_seals"),
         Global<const int32_t>(k.open_blocks, k.n_blocks, "g_open_blocks"),
         Global<const float>(static_cast<const float*>(k.open_keys), k.n_open_elems(), "g_open"),
         Global<Int8Channel>(static_cast<Int8Channel*>(k.codes), k.n_elems(), "g_k"),
         Global<float>(static_cast<float*>(k.scales), k.n_scales(), "g_k_scales"), k.layout, n_channels);
}

}  // namespace lastrow::LASTROW_TARGET
