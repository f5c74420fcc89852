// Decodes the keys that sequences hold in one layer, from K with scales for channels into a scratch of the same slots.
// Attention then reads f32 rows (cache/kv_channels.h says how they are stored).
//
// warp     one row of one K/V head g;  block of 4 warps; lanes share head_dim
//
// The grid covers max_kv_len rows of each sequence, so one recorded graph serves every shorter length. Warps past
// kv_len do nothing.
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"
#include "gpu/parts/channel_keys.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

__global__ void decode_keys_kernel(ChannelKeys k,
                                   Global<const int32_t> g_kv_len,        // [n_seqs]
                                   Global<const int32_t> g_block_tables,  // [n_seqs, blocks_per_seq]
                                   Global<float> g_keys,  // [n_blocks, n_kv_heads, block_len, head_dim]
                                   RowLayout layout, int32_t blocks_per_seq, int32_t max_kv_len,
                                   int64_t n_head_rows) {
  const int64_t head_row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (head_row >= n_head_rows) return;  // the whole warp
  const auto g = static_cast<int32_t>(head_row % layout.n_kv_heads);
  const int64_t key = head_row / layout.n_kv_heads;  // (sequence, s)
  const auto seq = static_cast<int32_t>(key / max_kv_len), s = static_cast<int32_t>(key % max_kv_len);
  if (s >= g_kv_len.load(seq)) return;  // the whole warp
  const int32_t block = g_block_tables.load(int64_t{seq} * blocks_per_seq + entry_of(layout.block_len, s));
  const int32_t place = s % layout.block_len;
  const ChannelRow stored = channel_row(k, block, place, g);
  const int64_t target = row_in(layout, block, place, g) * layout.head_dim;
  for (int32_t d = lane; d < layout.head_dim; d += kWarpSize) g_keys.store(target + d, element(k, stored, d));
}

}  // namespace

void decode_keys(const DecodeKeysCall& c, Stream stream) {
  const RowLayout& layout = c.k.layout;
  const int64_t n_head_rows = int64_t{c.n_seqs} * c.max_kv_len * layout.n_kv_heads;
  if (n_head_rows == 0) return;
  launch(Kernel{"decode_keys", decode_keys_kernel}, {static_cast<uint32_t>(ceil_div(n_head_rows, kWarps))},
         {kThreads}, 0, stream, channel_keys(c.k), Global<const int32_t>(c.kv_len, c.n_seqs, "g_kv_len"),
         Global<const int32_t>(c.block_tables, int64_t{c.n_seqs} * c.blocks_per_seq, "g_block_tables"),
         Global<float>(c.keys, c.k.n_elems(), "g_keys"), layout, c.blocks_per_seq, c.max_kv_len, n_head_rows);
}

}  // namespace lastrow::LASTROW_TARGET
