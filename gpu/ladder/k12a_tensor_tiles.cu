// k12a: tensor cores do both products of prefill: a block computes 64 queries against tiles of 64 keys.
//
// idea     k04 with matrices: 16 queries of a warp are the rows of a matrix, whose scores, weights and outputs stay in
//          registers
// since    k04: products are instructions of a whole warp (warp_rows.h). K and V lie in shared memory as they are
//          stored, swizzled for the loads of matrices. 0 · NaN is NaN in a matrix, so unseen_values.h keeps V that
//          a row does not see out of it
// rewrite  Half of the lines of k04 change: a lane holds other elements than in k04, so each line
//          that names them changes.
// headers  It opens 13 headers, because products of matrices need the layouts of both instructions and of shared
//          memory.
// grid     x tile of queries, y query head h, z sequence, as k04
// block    4 warps; each copies every fourth K/V row of a tile, and computes 16 of the 64 queries
// group    none
// lane     for copies 16 bytes of a row; for products two of 16 queries × two of 8 keys, or two of 8 d
//          (tensor_cores.h)
// sums     in float, with 2^x; one softmax update per tile. q and p are rounded to bf16, as is usual
// merge    none
// reads    K once and V once for each (tile of queries, h): q_len / 64 · group_size times as much as is needed
// scratch  none
// shared   64 rows of K and of V: 32 KiB; and 16 bytes
// takes    bf16, with n_parts 1 (it rounds); any group; head_dim a multiple of 8 up to 128, computed as 128; any
//          block_len; meant for prefill. sm_80 and later. No soft cap, ALiBi or sinks: k12 takes them
// measured not yet. It should be faster than k04, but copies and products take turns, and each head copies again
// source   Dao 2023, "FlashAttention-2"; tensor_cores.h
#include "gpu/ladder/ladder.h"
#include "gpu/parts/unseen_values.h"
#include "gpu/parts/warp_rows.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kWarpQueries = 16, kQueries = kWarps * kWarpQueries;
constexpr int32_t kTileKeys = kWarps * kWarpKeys;

/// Copies row s of K and of V to row r of the tile. Writes zeros past head_dim, and everywhere if not `present`.
template <int32_t kWidth, typename KV>
__device__ void load_row(const AttendOperands<KV>& o, int32_t sequence, int32_t g, int32_t s, bool present,
                         int32_t r, Shared<KV> s_k, Shared<KV> s_v) {
  const int64_t from = present ? row_offset(o.layout, slot_at(o, sequence, s), g) : 0;
  for (int32_t d = threadIdx.x % kWarpSize * 8; d < kWidth; d += kWarpSize * 8) {
    const bool stored = present && d < o.head_dim;
    s_k.template store_vec<8>(swizzled<kWidth, KV>(r, d / 8),
                              o.g_k.template load_vec_or_zero<8>(from + d, stored));
    s_v.template store_vec<8>(swizzled<kWidth, KV>(r, d / 8),
                              o.g_v.template load_vec_or_zero<8>(from + d, stored));
  }
}

/// Sets the scores of keys that a row does not see to −∞. r_x [kTileKeys / 8] holds scores of two rows; s is
/// the lane's first key.
__device__ inline void hide_unseen(int32_t s, const KeyRange (&keys)[2], FragmentC* r_x) {
  for (int32_t j = 0; j < kTileKeys / 8; ++j)
    for (int32_t e = 0; e < 4; ++e) {
      const int32_t key = s + 8 * j + e % 2;
      if (key < keys[e / 2].begin || key >= keys[e / 2].end) r_x[j].x[e] = kMinusInfinity;
    }
}

template <typename KV, int32_t kWidth>
__global__ void __launch_bounds__(kThreads, 2) k12a_tensor_tiles(AttendOperands<KV> o) {
  const int32_t warp = threadIdx.x / kWarpSize;
  const int32_t sequence = blockIdx.z, h = blockIdx.y, g = h / o.group_size, t0 = blockIdx.x * kQueries;
  const int32_t first_token = o.g_q_start.load(sequence),
                q_len = o.g_q_start.load(sequence + 1) - first_token;
  const int32_t kv_len = o.g_kv_len.load(sequence);
  if (t0 >= q_len) return;  // the whole block

  DynamicShared shared;
  const auto s_k = shared.take<KV>(kTileKeys * kWidth, "s_k");  // [kTileKeys, kWidth] swizzled
  const auto s_v = shared.take<KV>(kTileKeys * kWidth, "s_v");  // the same
  const auto s_bad = shared.take<uint32_t>(kWarps, "s_bad");    // [kWarps]: V not finite
  const auto s_q = shared.take<KV>(0, "s_q");                   // empty: q is in registers
  WarpRows<KV, kWidth, 1, kQueries> rows;

  // A later query sees keys that begin and end later (or at the same place). So the first and the last query
  // of the tile bound what the others see.
  const int32_t t_last = t0 + kQueries < q_len ? t0 + kQueries - 1 : q_len - 1;
  const KeyRange first = visible_keys(o.mask, q_len, kv_len, t0).range(1);
  const KeyRange last = visible_keys(o.mask, q_len, kv_len, t_last).range(1);
  int64_t at[2];     // the lane's two rows of q and out; −1 past the last query
  KeyRange keys[2];  // that they see
  for (int32_t j = 0; j < 2; ++j) {
    const int32_t t = t0 + warp * kWarpQueries + rows.row() + 8 * j;
    at[j] = t < q_len ? int64_t{first_token + t} * o.n_q_heads + h : -1;
    keys[j] = t < q_len ? visible_keys(o.mask, q_len, kv_len, t).range(1) : KeyRange{0, 0};
  }
  rows.load_query(o, at, s_q, 0, false);

  for (int32_t tile = first.begin / kTileKeys * kTileKeys; tile < last.end; tile += kTileKeys) {
    __syncthreads();  // all warps have read the last tile's K and V before any writes this tile's
    for (int32_t r = warp; r < kTileKeys; r += kWarps) {
      const bool present = tile + r >= first.begin && tile + r < last.end;
      load_row<kWidth>(o, sequence, g, tile + r, present, r, s_k, s_v);
    }
    __syncthreads();  // K and V are written before any warp reads them

    FragmentC r_x[kTileKeys / 8];
    float r_factor[2];
    rows.scores(s_q, 0, s_k, 0, r_x);
    const bool whole = tile >= last.begin && tile + kTileKeys <= first.end;  // every query sees every key
    if (!whole) hide_unseen(tile + rows.column(), keys, r_x);
    rows.weigh(r_x, r_factor);
    if (!whole) {
      const bool bad = any_not_finite<KV, kWidth>(s_v, warp * kWarpKeys);
      if (rows.lane() == 0) s_bad.store(warp, bad ? 1 : 0);
      __syncthreads();  // every warp has said whether its part of V is finite
    }
    if (!whole && any_of(s_bad.template load_vec<kWarps>(0))) {
      LASTROW_UNROLL
      for (int32_t j = 0; j < 2; ++j) {
        const int32_t begin = keys[j].begin > tile ? keys[j].begin - tile : 0;
        const int32_t end = keys[j].end < tile + kTileKeys ? keys[j].end - tile : kTileKeys;
        poison<KV, kWidth>(rows, j, s_v, begin, end);
      }
      __syncthreads();  // all warps have read V of this tile before any warp removes values from it
      take_out<KV, kWidth>(s_v, warp * kWarpKeys);
      __syncthreads();  // the values are removed before any warp multiplies
    }
    rows.add_values(r_x, r_factor, s_v, 0);
  }

  rows.finish();
  LASTROW_UNROLL
  for (int32_t j = 0; j < 2; ++j) {
    if (at[j] < 0) continue;
    const Softmax2& softmax = rows.softmax[j];
    if (rows.column() == 0) o.g_lse.store(at[j], softmax.lse());
    const float inverse = softmax.row_sum == 0 ? 0 : 1 / softmax.row_sum;  // 0: the row sees no key
    LASTROW_UNROLL
    for (int32_t n = 0; n < kWidth / 8; ++n) {
      const float* const r_pair = &rows.r_acc[n].x[j % 2 * 2];
      const Vec<float, 2> pair{r_pair[0] * inverse, r_pair[1] * inverse};
      if (8 * n < o.head_dim) o.g_out.template store_vec<2>(at[j] * o.head_dim + 8 * n + rows.column(), pair);
    }
  }
}

template <typename KV, int32_t kWidth>
constexpr int64_t kSharedBytes = 2 * int64_t{sizeof(KV)} * kTileKeys* kWidth + 4 * kWarps;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::bf16) return "it needs K/V in bf16";
  if (const std::string why_not = s.beyond_a_scale_and_a_window(); !why_not.empty()) return why_not;
  if (s.head_dim % 8 != 0) return "it needs head_dim to be a multiple of 8, as it copies 16 bytes";
  if (task.tuning.n_parts != 1) return "it needs n_parts 1, as it rounds q and p";
  if (const std::string why_not = too_many_sequences(s.n_seqs); !why_not.empty()) return why_not;
  return s.head_dim <= 128 ? "" : "it needs head_dim at most 128, as registers are short";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  const auto n_tiles = static_cast<uint32_t>(ceil_div(s.max_q_len, kQueries));
  const Dim3 grid{n_tiles, static_cast<uint32_t>(s.n_q_heads), static_cast<uint32_t>(s.n_seqs)};
  launch(Kernel{"k12a_tensor_tiles", k12a_tensor_tiles<BFloat16, 128>}, grid, {kThreads},
         kSharedBytes<BFloat16, 128>, stream, operands<BFloat16>(call, 0));
}

}  // namespace

const Rung k12a{.name = "k12a",
                .parent = "k04",
                .idea = "tiles multiplied on tensor cores",
                .supports_one_type = supports,
                .scratch_elems = scratch_elems,
                .launch = start,
                .rounds = true};

}  // namespace lastrow::LASTROW_TARGET
