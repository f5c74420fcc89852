// Rotates the held keys of one layer at the positions that they have in this step, from the store into a scratch.
// Source: Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", section 3.2.
//
// thread   one pair (d, its partner) of one K/V head g and one index s of one sequence;  block of 256
// pairs    (d, d + head_dim/2), or (2d, 2d + 1) where the table says interleaved
//
// The grid covers the whole table, so one recorded graph serves every length. Threads behind kv_len do nothing.
#include "cache/kv_groups.h"
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kThreads = 256;

struct Tables {
  Global<const int32_t> g_kv_len;         // [n_seqs]
  Global<const int32_t> g_block_tables;   // [n_seqs, blocks_per_seq]
  Global<const int32_t> g_table_first;    // [n_seqs]; if has_first
  Global<const int32_t> g_key_positions;  // [n_seqs, keys_per_seq]; if has_positions
  int32_t blocks_per_seq, table_sinks;
  bool has_first, has_positions;
};

/// K of one layer: its elements, and the scales of the types that have them.
template <typename KV>
struct Stored {
  Global<const KV> g_k;               // [n_blocks, n_kv_heads, block_len, head_dim], or bytes of two numbers
  Global<const float> g_scales;       // [n_blocks, n_kv_heads, block_len]             int8
  Global<const Half> g_group_scales;  // [n_blocks, n_kv_heads, block_len, n_groups]   int4, fp4
};

/// Element d of row `row`, counted in rows of the layer.
template <typename KV>
__device__ inline float element(const Stored<KV>& k, int64_t row, int32_t head_dim, int32_t d) {
  if constexpr (is_grouped<KV>) {
    const uint8_t bits = k.g_k.load((row * head_dim + d) / 2).bits;
    const float scale = to_float(k.g_group_scales.load(row * n_groups(head_dim) + d / kScaleGroup));
    return number_of<KV>(d % 2 == 0 ? first_code(bits) : second_code(bits)) * scale;
  } else {
    float scale = 1;
    if constexpr (std::is_same_v<KV, int8_t>) scale = k.g_scales.load(row);
    return decode(k.g_k.load(row * head_dim + d), scale);
  }
}

template <typename KV>
__global__ void rotate_keys_kernel(Global<const float> g_cos,
                                   Global<const float> g_sin,  // [max_seq_len, half]
                                   Stored<KV> k, Tables tables,
                                   Global<float> g_keys,  // [n_blocks, n_kv_heads, block_len, head_dim]
                                   RowLayout layout, int64_t n_pairs, bool interleaved) {
  const int64_t pair = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (pair >= n_pairs) return;
  const int32_t half = layout.head_dim / 2, keys_per_seq = tables.blocks_per_seq * layout.block_len;
  const auto d = static_cast<int32_t>(pair % half);
  const int64_t head_row = pair / half, key = head_row / layout.n_kv_heads;  // key: (sequence, s)
  const auto g = static_cast<int32_t>(head_row % layout.n_kv_heads);
  const auto seq = static_cast<int32_t>(key / keys_per_seq), s = static_cast<int32_t>(key % keys_per_seq);
  if (s >= tables.g_kv_len.load(seq)) return;

  const int32_t skipped = s < tables.table_sinks
                              ? 0
                              : places_skipped(layout.block_len, tables.table_sinks,
                                               tables.has_first ? tables.g_table_first.load(seq) : 0);
  const int32_t place = s + skipped;
  const int32_t block =
      tables.g_block_tables.load(int64_t{seq} * tables.blocks_per_seq + entry_of(layout.block_len, place));
  const int64_t row = row_in(layout, block, place % layout.block_len, g);
  const int32_t position = tables.has_positions ? tables.g_key_positions.load(key) : s;

  const int64_t angle = int64_t{position} * half + d;
  const float cos = g_cos.load(angle), sin = g_sin.load(angle);
  const int32_t first = interleaved ? 2 * d : d, second = first + (interleaved ? 1 : half);
  const float a = element(k, row, layout.head_dim, first), b = element(k, row, layout.head_dim, second);
  g_keys.store(row * layout.head_dim + first, a * cos - b * sin);
  g_keys.store(row * layout.head_dim + second, a * sin + b * cos);
}

}  // namespace

void rotate_keys(const RotateKeysCall& c, Stream stream) {
  const int32_t half = c.layout.head_dim / 2, keys_per_seq = c.blocks_per_seq * c.layout.block_len;
  const int64_t n_pairs = int64_t{c.n_seqs} * keys_per_seq * c.layout.n_kv_heads * half,
                n_rows = c.n_blocks * c.layout.n_kv_heads * c.layout.block_len,
                n_angles = int64_t{c.max_seq_len} * half;
  if (n_pairs == 0) return;
  const Tables tables{{c.kv_len, c.n_seqs, "g_kv_len"},
                      {c.block_tables, int64_t{c.n_seqs} * c.blocks_per_seq, "g_block_tables"},
                      {c.table_first, c.n_seqs, "g_table_first"},
                      {c.key_positions, int64_t{c.n_seqs} * keys_per_seq, "g_key_positions"},
                      c.blocks_per_seq,
                      c.table_sinks,
                      c.table_first != nullptr,
                      c.key_positions != nullptr};
  with_kv_type<float, Half, BFloat16, Fp8E4M3, int8_t, Fp4x2, Int4x2>(c.k_dtype, [&]<typename KV>(KV) {
    const Stored<KV> k{
        {static_cast<const KV*>(c.k), n_rows * (c.layout.head_dim / numbers_in(dtype_of<KV>)), "g_k"},
        {static_cast<const float*>(c.k_scales), n_rows, "g_k_scales"},
        {static_cast<const Half*>(c.k_scales), n_rows * n_groups(c.layout.head_dim), "g_k_scales"}};
    launch(Kernel{"rotate_keys", rotate_keys_kernel<KV>},
           {static_cast<uint32_t>(ceil_div(n_pairs, kThreads))}, {kThreads}, 0, stream,
           Global<const float>(c.cos, n_angles, "g_cos"), Global<const float>(c.sin, n_angles, "g_sin"), k,
           tables, Global<float>(c.keys, n_rows * c.layout.head_dim, "g_keys"), c.layout, n_pairs,
           c.interleaved);
  });
}

}  // namespace lastrow::LASTROW_TARGET
