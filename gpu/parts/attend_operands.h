// What every attention kernel takes, and the few steps that all of them share.
//
// KV is the element type of stored rows: float, Half, BFloat16, Fp8E4M3 or int8_t (cache/kv_codec.h). It may
// also be a TypePair: one type for K, and another one of the same size for V.
// Everything else is float, and sums are computed in float.
#pragma once

#include <limits>

#include "cache/kv_codec.h"
#include "gpu/parts/attend_call.h"
#include "gpu/target/target.h"

/// Stands before a loop of constant length over register arrays: if it were not unrolled, the arrays would
/// have to be in memory.
#if defined(__CUDACC__)
#define LASTROW_UNROLL _Pragma("unroll")
#else
#define LASTROW_UNROLL
#endif

namespace lastrow::LASTROW_TARGET {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr uint32_t kAllLanes = 0xFFFFFFFFu;
constexpr float kLog2E = 1.44269504f, kLn2 = 0.693147181f;  // 2^x costs less than e^x (softmax2.h)

/// For a rung whose grid has the sequence as z: why it cannot take so many; empty if it can.
inline std::string too_many_sequences(int32_t n_seqs) {
  return n_seqs > 65535 ? "it needs at most 65535 sequences, as a grid's z goes no further" : "";
}

/// For a rung that counts rows in 32 bits (tile_places.h): why it cannot take so many; empty if it can.
inline std::string too_many_rows(const gpu::AttendShape& s) {
  const int64_t n_rows = s.n_blocks * s.n_kv_heads * s.block_len;
  return n_rows <= INT32_MAX
             ? ""
             : "it needs at most 2^31 - 1 rows of K in a layer (blocks times heads times block_len)";
}

template <typename K, typename V>
struct TypePair {
  K elem;
  static_assert(sizeof(K) == sizeof(V));
};
template <typename KV>
struct TypesOf {
  using K = KV;
  using V = KV;
};
template <typename Key, typename Value>
struct TypesOf<TypePair<Key, Value>> {
  using K = Key;
  using V = Value;
};
template <typename KV>
using KeyOf = typename TypesOf<KV>::K;
template <typename KV>
using ValueOf = typename TypesOf<KV>::V;

template <typename KV>
struct AttendOperands {
  Global<const float> g_q;                     // [n_tokens, n_q_heads, head_dim]
  Global<const KeyOf<KV>> g_k;                 // [n_blocks, n_kv_heads, block_len, head_dim]
  Global<const ValueOf<KV>> g_v;               // the same
  Global<const float> g_k_scales, g_v_scales;  // [n_blocks, n_kv_heads, block_len]   int8 only
  Global<const int32_t> g_q_start;             // [n_seqs + 1]
  Global<const int32_t> g_kv_len;              // [n_seqs]
  Global<const int32_t> g_seq_of_token;        // [n_tokens]
  Global<const int32_t> g_block_tables;        // [n_seqs, blocks_per_seq]
  Global<float> g_out;                         // [n_tokens, n_q_heads, head_dim]
  Global<float> g_lse;                         // [n_tokens, n_q_heads]
  Global<float> g_scratch;                     // [scratch_elems] as the rung asked for
  int32_t n_q_heads, group_size, head_dim;
  int32_t n_tokens, n_seqs, blocks_per_seq, max_kv_len;
  RowLayout layout;
  ScoreRule score;
  MaskRule mask;
  // Only for ALiBi, and for the tables of caches that forget rows:
  Global<const float> g_slopes;                        // [n_q_heads]
  Global<const int32_t> g_positions, g_key_positions;  // [n_tokens], [n_seqs, keys_per_seq]; if has_positions
  Global<const int32_t> g_table_first;                 // [n_seqs]; if has_first
  bool has_positions, has_first, sinks_apart;
  int32_t table_sinks, sink_gap;  // sink_gap: places between the last sink and the next block
};

/// Makes views of the call's addresses, with KV as the stored type.
template <typename KV>
AttendOperands<KV> operands(const gpu::AttendCall& c, int64_t scratch_elems) {
  const gpu::AttendShape& s = c.task.shape;
  const int64_t q_elems = int64_t{s.n_tokens} * s.n_q_heads * s.head_dim;
  const int64_t n_scales = s.n_blocks * s.n_kv_heads * s.block_len, kv_elems = n_scales * s.head_dim;
  return {.g_q = {c.q, q_elems, "g_q"},
          .g_k = {static_cast<const KeyOf<KV>*>(c.k), kv_elems, "g_k"},
          .g_v = {static_cast<const ValueOf<KV>*>(c.v), kv_elems, "g_v"},
          .g_k_scales = {static_cast<const float*>(c.k_scales), n_scales, "g_k_scales"},
          .g_v_scales = {static_cast<const float*>(c.v_scales), n_scales, "g_v_scales"},
          .g_q_start = {c.q_start, s.n_seqs + 1, "g_q_start"},
          .g_kv_len = {c.kv_len, s.n_seqs, "g_kv_len"},
          .g_seq_of_token = {c.seq_of_token, s.n_tokens, "g_seq_of_token"},
          .g_block_tables = {c.block_tables, int64_t{s.n_seqs} * s.blocks_per_seq, "g_block_tables"},
          .g_out = {c.out, q_elems, "g_out"},
          .g_lse = {c.lse, int64_t{s.n_tokens} * s.n_q_heads, "g_lse"},
          .g_scratch = {c.scratch, scratch_elems, "g_scratch"},
          .n_q_heads = s.n_q_heads,
          .group_size = s.group_size(),
          .head_dim = s.head_dim,
          .n_tokens = s.n_tokens,
          .n_seqs = s.n_seqs,
          .blocks_per_seq = s.blocks_per_seq,
          .max_kv_len = s.max_kv_len,
          .layout = s.layout(),
          .score = c.spec.score,
          .mask = c.spec.mask,
          .g_slopes = {c.slopes, c.spec.score.alibi_heads, "g_slopes"},
          .g_positions = {c.positions, s.n_tokens, "g_positions"},
          .g_key_positions = {c.key_positions, int64_t{s.n_seqs} * s.blocks_per_seq * s.block_len,
                              "g_key_positions"},
          .g_table_first = {c.table_first, s.n_seqs, "g_table_first"},
          .has_positions = c.key_positions != nullptr,
          .has_first = c.table_first != nullptr,
          .sinks_apart = s.sinks_apart,
          .table_sinks = s.table_sinks,
          .sink_gap = places_skipped(s.block_len, s.table_sinks, 0)};
}

/// How many more places than indices come before index s in its table (places_skipped). It is the same for
/// all keys of one range that a query sees.
template <typename KV>
__device__ inline int32_t skipped_at(const AttendOperands<KV>& o, int32_t sequence, int32_t s) {
  if (s < o.table_sinks) return 0;
  return o.sink_gap + (o.has_first ? o.g_table_first.load(sequence) : 0);
}

/// The slot of index s of a sequence. Loads one entry of the block table. kSkips false: only for tables
/// without sinks that begin at place 0, where an index is its place.
template <bool kSkips = true, typename KV>
__device__ inline int64_t slot_at(const AttendOperands<KV>& o, int32_t sequence, int32_t s) {
  const int32_t place = kSkips ? s + skipped_at(o, sequence, s) : s;
  const int32_t block =
      o.g_block_tables.load(int64_t{sequence} * o.blocks_per_seq + entry_of(o.layout.block_len, place));
  return slot_in(block, o.layout.block_len, place);
}

/// The row at a place in the table of a sequence, and of K/V head g, counted in rows. It does not make the
/// slot, so it saves the division that would take the slot apart again.
template <typename KV>
__device__ inline int64_t row_at(const AttendOperands<KV>& o, int32_t sequence, int32_t place, int32_t g) {
  const int32_t entry = entry_of(o.layout.block_len, place);
  const int32_t block = o.g_block_tables.load(int64_t{sequence} * o.blocks_per_seq + entry);
  return row_in(o.layout, block, place % o.layout.block_len, g);
}

/// The keys that query t of q_len sees. If the table has sinks, they are always a range of their own: the
/// rows behind them lie elsewhere. Then the two ranges may touch.
template <typename KV>
__device__ inline VisibleKeys keys_seen(const AttendOperands<KV>& o, int32_t q_len, int32_t kv_len,
                                        int32_t t) {
  const VisibleKeys keys = visible_keys(o.mask, q_len, kv_len, t);
  if (keys.sinks >= o.table_sinks) return keys;
  const int32_t sinks = o.table_sinks < keys.end ? o.table_sinks : keys.end;
  return {sinks, keys.end, sinks};
}

/// Walks through the block table of one sequence in equal steps, without a division per row.
///   PageCursor cursor(block_len, s, step);    two divisions by block_len, once
///   cursor.entry, cursor.place                place s of the table: its entry, the place in its block
///   cursor.advance();                         index s + step: two additions, at most one correction
/// block_len may be any length ≥ 1, shorter or longer than the step. The places are those of slot_of in
/// cache/index.h, in the two parts that its row_in takes.
struct PageCursor {
  LASTROW_HD constexpr PageCursor(int32_t block_len_, int32_t s, int32_t step)
      : entry(s / block_len_),
        place(s % block_len_),
        block_len(block_len_),
        step_entries(step / block_len_),
        step_places(step % block_len_) {}

  LASTROW_HD constexpr void advance() {
    entry += step_entries;
    place += step_places;
    if (place < block_len) return;
    place -= block_len;
    ++entry;
  }

  int32_t entry, place;
  int32_t block_len, step_entries, step_places;
};

/// The keys that packed token `token` of that sequence sees.
template <typename KV>
__device__ inline VisibleKeys keys_of(const AttendOperands<KV>& o, int32_t sequence, int32_t token) {
  const int32_t first = o.g_q_start.load(sequence), q_len = o.g_q_start.load(sequence + 1) - first;
  return keys_seen(o, q_len, o.g_kv_len.load(sequence), token - first);
}

/// The score of one key, from x = query_factor · q·k. Call it only if !o.score.only_scales(), and for a key
/// that the query sees. unit: 1 or kLog2E, as in attention/score.h.
template <typename KV>
__device__ inline float finish_score(const AttendOperands<KV>& o, int32_t sequence, int32_t token, int32_t h,
                                     int32_t s, float x, float unit) {
  if (o.score.alibi_heads == 0) return o.score.finish(x, 0.0f, 0, unit);
  int32_t distance;
  if (o.has_positions) {
    const int64_t key = int64_t{sequence} * o.blocks_per_seq * o.layout.block_len + s;
    distance = o.g_positions.load(token) - o.g_key_positions.load(key);
  } else {
    distance = o.g_kv_len.load(sequence) - (o.g_q_start.load(sequence + 1) - token) - s;
  }
  return o.score.finish(x, o.g_slopes.load(h) * unit, distance < 0 ? -distance : distance, unit);
}

/// The sum over the lanes of a warp, in a fixed order. Every lane gets it.
__device__ inline float warp_sum(float x) {
  for (int32_t flip = kWarpSize / 2; flip > 0; flip /= 2) x += __shfl_xor_sync(kAllLanes, x, flip);
  return x;
}
__device__ inline float warp_max(float x) {
  for (int32_t flip = kWarpSize / 2; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, x, flip);
    x = other > x ? other : x;
  }
  return x;
}

/// The types of K and V that KV stands for.
template <typename KV>
constexpr KvDtypes kv_dtypes_of{dtype_of<KeyOf<KV>>, dtype_of<ValueOf<KV>>};

/// Calls f with a value of the type in which K and V are stored, if KVs has it.
template <typename... KVs, typename F>
void with_kv_type(KvDtypes dtype, const F& f) {
  ((dtype == kv_dtypes_of<KVs> ? (f(KVs{}), 0) : 0), ...);
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace lastrow::LASTROW_TARGET
