// The same as kv_rows.cu for K with scales for channels (cache/kv_channels.h): rows into their slots, and out of them
// again as f32. Rows of open blocks are f32. A row of a sealed block is stored with the scales that the block has.
//
// warp     one row of one K/V head g;  block of 4 warps; lanes share head_dim
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"
#include "gpu/parts/channel_keys.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

__global__ void store_channel_rows_kernel(
    Global<const float> g_rows,           // [n_rows, n_kv_heads, head_dim]
    Global<const int64_t> g_slots,        // [n_rows]
    Global<Int8Channel> g_codes,          // [n_blocks, n_kv_heads, block_len, head_dim]
    Global<const float> g_scales,         // [n_blocks, n_kv_heads, head_dim]
    Global<float> g_open,                 // [n_open_blocks, n_kv_heads, block_len, head_dim]
    Global<const int32_t> g_open_blocks,  // [n_blocks]
    RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads), block = slot / layout.block_len;
  const auto g = static_cast<int32_t>(row % layout.n_kv_heads);
  const int32_t open = g_open_blocks.load(block);
  const int64_t source = row * layout.head_dim,
                target =
                    row_in(layout, open < 0 ? block : open, slot % layout.block_len, g) * layout.head_dim;
  for (int32_t d = lane; d < layout.head_dim; d += kWarpSize) {
    const float x = g_rows.load(source + d);
    if (open < 0)
      g_codes.store(target + d,
                    to_int8_within(x, g_scales.load(channel_scales_offset(layout, block, g) + d)));
    else
      g_open.store(target + d, x);
  }
}

__global__ void fetch_channel_rows_kernel(Global<float> g_rows,           // [n_rows, n_kv_heads, head_dim]
                                          Global<const int64_t> g_slots,  // [n_rows]
                                          ChannelKeys k, RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads);
  const ChannelRow stored = channel_row(k, slot / layout.block_len, slot % layout.block_len,
                                        static_cast<int32_t>(row % layout.n_kv_heads));
  for (int32_t d = lane; d < layout.head_dim; d += kWarpSize)
    g_rows.store(row * layout.head_dim + d, element(k, stored, d));
}

}  // namespace

void store_channel_rows(const ChannelRowsCall<const float, void>& c, Stream stream) {
  const RowLayout& layout = c.k.layout;
  const int64_t n_head_rows = int64_t{c.n_rows} * layout.n_kv_heads;
  if (n_head_rows == 0) return;
  launch(Kernel{"store_channel_rows", store_channel_rows_kernel},
         {static_cast<uint32_t>(ceil_div(n_head_rows, kWarps))}, {kThreads}, 0, stream,
         Global<const float>(c.rows, n_head_rows * layout.head_dim, "g_rows"),
         Global<const int64_t>(c.slots, c.n_rows, "g_slots"),
         Global<Int8Channel>(static_cast<Int8Channel*>(c.k.codes), c.k.n_elems(), "g_k"),
         Global<const float>(static_cast<const float*>(c.k.scales), c.k.n_scales(), "g_k_scales"),
         Global<float>(static_cast<float*>(c.k.open_keys), c.k.n_open_elems(), "g_open"),
         Global<const int32_t>(c.k.open_blocks, c.k.n_blocks, "g_open_blocks"), layout, n_head_rows);
}

void fetch_channel_rows(const ChannelRowsCall<float, const void>& c, Stream stream) {
  const RowLayout& layout = c.k.layout;
  const int64_t n_head_rows = int64_t{c.n_rows} * layout.n_kv_heads;
  if (n_head_rows == 0) return;
  launch(Kernel{"fetch_channel_rows", fetch_channel_rows_kernel},
         {static_cast<uint32_t>(ceil_div(n_head_rows, kWarps))}, {kThreads}, 0, stream,
         Global<float>(c.rows, n_head_rows * layout.head_dim, "g_rows"),
         Global<const int64_t>(c.slots, c.n_rows, "g_slots"), channel_keys(c.k), layout, n_head_rows);
}

}  // namespace lastrow::LASTROW_TARGET
