// Rows of K or of V into their slots, encoded as cache/kv_codec.h says, and out of them again as f32. The
// stored bits are those of every other backend.
//
// warp     one row of one K/V head g;  block of 4 warps; lanes share head_dim
// int8     the row's largest magnitude is found by the warp that stores it; one scale a row
// int4,    a lane has one byte, which is two elements; 16 lanes have a group, and find its largest magnitude
// fp4
#include "cache/kv_groups.h"
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4;

template <typename KV>
__global__ void store_rows_kernel(Global<const float> g_rows,     // [n_rows, n_kv_heads, head_dim]
                                  Global<const int64_t> g_slots,  // [n_rows]
                                  Global<KV> g_storage,    // [n_blocks, n_kv_heads, block_len, head_dim]
                                  Global<float> g_scales,  // [n_blocks, n_kv_heads, block_len]   int8 only
                                  RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads);
  const auto g = static_cast<int32_t>(row % layout.n_kv_heads);
  const int64_t source = row * layout.head_dim, target = row_offset(layout, slot, g);

  float scale = 1;
  if constexpr (std::is_same_v<KV, int8_t>) {
    uint32_t largest = 0;
    for (int32_t d = lane; d < layout.head_dim; d += kWarpSize) {
      const uint32_t magnitude = magnitude_of(g_rows.load(source + d));
      largest = magnitude > largest ? magnitude : largest;
    }
    for (int32_t flip = kWarpSize / 2; flip > 0; flip /= 2) {
      const uint32_t other = __shfl_xor_sync(kAllLanes, largest, flip);
      largest = other > largest ? other : largest;
    }
    scale = int8_scale(largest);
    if (lane == 0) g_scales.store(scale_offset(layout, slot, g), scale);
  }
  for (int32_t d = lane; d < layout.head_dim; d += kWarpSize) {
    const float x = g_rows.load(source + d);
    KV code;
    if constexpr (std::is_same_v<KV, int8_t>)
      code = to_int8(x, scale);
    else
      encode_row(&x, 1, &code);
    g_storage.store(target + d, code);
  }
}

constexpr int32_t kGroupLanes = kScaleGroup / 2;

/// The same for int4 and fp4. A warp stores two groups at a time.
template <typename KV>
__global__ void store_groups_kernel(Global<const float> g_rows,     // [n_rows, n_kv_heads, head_dim]
                                    Global<const int64_t> g_slots,  // [n_rows]
                                    Global<KV> g_storage,   // [n_blocks, n_kv_heads, block_len, head_dim / 2]
                                    Global<Half> g_scales,  // [n_blocks, n_kv_heads, block_len, n_groups]
                                    RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads), source = row * layout.head_dim;
  const int64_t target = scale_offset(layout, slot, static_cast<int32_t>(row % layout.n_kv_heads));
  for (int32_t first = 0; first < layout.head_dim; first += 2 * kWarpSize) {
    const int32_t d = first + 2 * lane;
    const bool is_mine = d < layout.head_dim;
    const float x = is_mine ? g_rows.load(source + d) : 0, y = is_mine ? g_rows.load(source + d + 1) : 0;
    uint32_t largest = magnitude_of(x) > magnitude_of(y) ? magnitude_of(x) : magnitude_of(y);
    for (int32_t flip = kGroupLanes / 2; flip > 0; flip /= 2) {
      const uint32_t other = __shfl_xor_sync(kAllLanes, largest, flip);
      largest = other > largest ? other : largest;
    }
    const Half half = group_scale<KV>(largest);
    const float scale = to_float(half);
    if (!is_mine) continue;
    g_storage.store(target * (layout.head_dim / 2) + d / 2,
                    KV{packed(code_of<KV>(x, scale), code_of<KV>(y, scale))});
    if (lane % kGroupLanes == 0) g_scales.store(target * n_groups(layout.head_dim) + d / kScaleGroup, half);
  }
}

template <typename KV>
__global__ void fetch_groups_kernel(
    Global<float> g_rows,           // [n_rows, n_kv_heads, head_dim]
    Global<const int64_t> g_slots,  // [n_rows]
    Global<const KV> g_storage,     // [n_blocks, n_kv_heads, block_len, head_dim / 2]
    Global<const Half> g_scales,    // [n_blocks, n_kv_heads, block_len, n_groups]
    RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads), target = row * layout.head_dim;
  const int64_t source = scale_offset(layout, slot, static_cast<int32_t>(row % layout.n_kv_heads));
  for (int32_t d = 2 * lane; d < layout.head_dim; d += 2 * kWarpSize) {
    const uint8_t bits = g_storage.load(source * (layout.head_dim / 2) + d / 2).bits;
    const float scale = to_float(g_scales.load(source * n_groups(layout.head_dim) + d / kScaleGroup));
    g_rows.store(target + d, number_of<KV>(first_code(bits)) * scale);
    g_rows.store(target + d + 1, number_of<KV>(second_code(bits)) * scale);
  }
}

template <typename KV>
__global__ void fetch_rows_kernel(
    Global<float> g_rows,           // [n_rows, n_kv_heads, head_dim]
    Global<const int64_t> g_slots,  // [n_rows]
    Global<const KV> g_storage,     // [n_blocks, n_kv_heads, block_len, head_dim]
    Global<const float> g_scales,   // [n_blocks, n_kv_heads, block_len]   int8 only
    RowLayout layout, int64_t n_head_rows) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  const int32_t lane = threadIdx.x % kWarpSize;
  if (row >= n_head_rows) return;  // the whole warp
  const int64_t slot = g_slots.load(row / layout.n_kv_heads);
  const auto g = static_cast<int32_t>(row % layout.n_kv_heads);
  float scale = 1;
  if constexpr (std::is_same_v<KV, int8_t>) scale = g_scales.load(scale_offset(layout, slot, g));
  for (int32_t d = lane; d < layout.head_dim; d += kWarpSize)
    g_rows.store(row * layout.head_dim + d, decode(g_storage.load(row_offset(layout, slot, g) + d), scale));
}

/// What both launches have in common.
template <typename Call, typename Launch>
void for_head_rows(const Call& c, const Launch& start) {
  const int64_t n_head_rows = int64_t{c.n_rows} * c.layout.n_kv_heads;
  if (n_head_rows * c.layout.head_dim == 0) return;
  const int64_t n_scales = c.n_blocks * c.layout.n_kv_heads * c.layout.block_len;
  const auto n_blocks = static_cast<uint32_t>(ceil_div(n_head_rows, kWarps));
  with_kv_type<float, Half, BFloat16, Fp8E4M3, int8_t, Fp4x2, Int4x2>(
      c.kv_dtype, [&]<typename KV>(KV) { start(KV{}, n_head_rows, n_scales, n_blocks); });
}

constexpr uint32_t kThreads = kWarps * kWarpSize;

}  // namespace

void store_rows(const RowsCall<const float, void>& c, Stream stream) {
  for_head_rows(c, [&]<typename KV>(KV, int64_t n_head_rows, int64_t n_scales, uint32_t n_blocks) {
    const Global<const float> rows(c.rows, n_head_rows * c.layout.head_dim, "g_rows");
    const Global<const int64_t> slots(c.slots, c.n_rows, "g_slots");
    const Global<KV> storage(static_cast<KV*>(c.storage),
                             n_scales * (c.layout.head_dim / numbers_in(dtype_of<KV>)), "g_storage");
    if constexpr (is_grouped<KV>)
      launch(Kernel{"store_groups", store_groups_kernel<KV>}, {n_blocks}, {kThreads}, 0, stream, rows, slots,
             storage,
             Global<Half>(static_cast<Half*>(c.scales), n_scales * n_groups(c.layout.head_dim), "g_scales"),
             c.layout, n_head_rows);
    else
      launch(Kernel{"store_rows", store_rows_kernel<KV>}, {n_blocks}, {kThreads}, 0, stream, rows, slots,
             storage, Global<float>(static_cast<float*>(c.scales), n_scales, "g_scales"), c.layout,
             n_head_rows);
  });
}

void fetch_rows(const RowsCall<float, const void>& c, Stream stream) {
  for_head_rows(c, [&]<typename KV>(KV, int64_t n_head_rows, int64_t n_scales, uint32_t n_blocks) {
    const Global<float> rows(c.rows, n_head_rows * c.layout.head_dim, "g_rows");
    const Global<const int64_t> slots(c.slots, c.n_rows, "g_slots");
    const Global<const KV> storage(static_cast<const KV*>(c.storage),
                                   n_scales * (c.layout.head_dim / numbers_in(dtype_of<KV>)), "g_storage");
    if constexpr (is_grouped<KV>)
      launch(Kernel{"fetch_groups", fetch_groups_kernel<KV>}, {n_blocks}, {kThreads}, 0, stream, rows, slots,
             storage,
             Global<const Half>(static_cast<const Half*>(c.scales), n_scales * n_groups(c.layout.head_dim),
                                "g_scales"),
             c.layout, n_head_rows);
    else
      launch(Kernel{"fetch_rows", fetch_rows_kernel<KV>}, {n_blocks}, {kThreads}, 0, stream, rows, slots,
             storage, Global<const float>(static_cast<const float*>(c.scales), n_scales, "g_scales"),
             c.layout, n_head_rows);
  });
}

}  // namespace lastrow::LASTROW_TARGET
