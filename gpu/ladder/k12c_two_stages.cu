// k12c: the next tile is on its way while this one is multiplied.
//
// idea     asynchronous copies into a second stage of shared memory, so that copies and products do not take turns
// since    k12b, where all warps waited for a tile before they multiplied it. At the barrier of a tile, a warp
//          requests V of the next tile and K of the tile after it as one group. V may arrive later than K, because the
//          scores need only K. So one barrier per tile is enough. Unfinished copies need registers for their
//          addresses, so values that depend on a row are computed again where they are needed
// headers  It opens 13 headers, because products of matrices need the layouts of both instructions and of shared
//          memory.
// grid     as k12b
// block    4 warps; each copies 16 keys of a tile (warp_copies.h), and computes 16 of the 64 rows
// group    none
// lane     as k12b
// sums     as k12b
// merge    none
// reads    as k12b; the table once per key and tile of rows, by two lanes
// scratch  none
// shared   2 stages of 64 rows of K and of V: 32 KiB; and 32 bytes
// takes    as k12b, but head_dim up to 64, computed as 64 (with q in registers, 128 would spill), and up to 2^31 - 1
//          rows of K in a layer
// measured not yet. It should take the larger of k12b's two times, for copies and for products, not their sum
// source   PTX ISA, "cp.async" (async_copy.h)
#include "gpu/ladder/ladder.h"
#include "gpu/parts/unseen_values.h"
#include "gpu/parts/warp_rows.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kWarpQueries = 16, kQueries = kWarps * kWarpQueries;
constexpr int32_t kTileKeys = kWarps * kWarpKeys, kStages = 2;

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
__global__ void __launch_bounds__(kThreads, 2) k12c_two_stages(AttendOperands<KV> o) {
  const int32_t warp = threadIdx.x / kWarpSize;
  const int32_t sequence = blockIdx.z, g = blockIdx.y, r0 = blockIdx.x * kQueries;
  // Registers are short, so these are loaded again wherever they are needed, and all that depends on them is
  // computed again.
  const auto first_token = [&] { return o.g_q_start.load(sequence); };
  const auto q_len = [&] { return o.g_q_start.load(sequence + 1) - o.g_q_start.load(sequence); };
  if (r0 >= q_len() * o.group_size) return;  // the whole block; row r = t · group_size + head in its group

  DynamicShared shared;
  const auto s_k = shared.take<KV>(kStages * kTileKeys * kWidth, "s_k");  // [kStages, kTileKeys, kWidth]
  const auto s_v = shared.take<KV>(kStages * kTileKeys * kWidth, "s_v");  // the same; both swizzled
  const auto s_bad = shared.take<uint32_t>(kStages * kWarps, "s_bad");    // [kStages, kWarps]: V not finite
  const auto s_q = shared.take<KV>(0, "s_q");                             // empty: q is in registers
  WarpRows<KV, kWidth, 1, kQueries> rows;

  // For row r: its row in q and out, or −1 past the last row; and the keys that it sees.
  const auto place_of = [&](int32_t r) -> int64_t {
    const int32_t t = r / o.group_size;
    return t < q_len() ? int64_t{first_token() + t} * o.n_q_heads + g * o.group_size + r % o.group_size : -1;
  };
  const auto keys_of = [&](int32_t r) -> KeyRange {
    const int32_t t = r / o.group_size, n = q_len();
    return t < n ? visible_keys(o.mask, n, o.g_kv_len.load(sequence), t).range(1) : KeyRange{0, 0};
  };
  // A later row sees keys that begin and end later (or at the same place). So the first and the last row of
  // the tile bound what the others see.
  const int32_t n_rows = q_len() * o.group_size;
  const KeyRange first = keys_of(r0);
  const KeyRange last = keys_of(r0 + kQueries < n_rows ? r0 + kQueries - 1 : n_rows - 1);
  const auto row = [&](int32_t j) {
    return r0 + warp * kWarpQueries + rows.row() + 8 * j;
  };  // the lane's j-th row
  rows.load_query(o, {place_of(row(0)), place_of(row(1))}, s_q, 0, false);

  const int32_t first_tile = first.begin / kTileKeys * kTileKeys;
  WarpCopies<KV, kWidth, kTileKeys> copies(o, sequence, g, {first.begin, last.end}, first_tile);
  const auto first_row = [&](int32_t stage) { return stage * kTileKeys + warp * kWarpKeys; };
  copies.request_k(o, s_k, first_row(0));
  copies.close_group();
  copies.request_v(o, s_v, first_row(0));
  copies.request_k(o, s_k, first_row(1));
  copies.close_group();
  copies.template wait<1>();
  __syncthreads();  // K of the first tile has arrived before any warp reads it

  int32_t stage = 0;
  for (int32_t tile = first_tile; tile < last.end; tile += kTileKeys) {
    FragmentC r_x[kTileKeys / 8];
    float r_factor[2];
    rows.scores(s_q, 0, s_k, stage * kTileKeys, r_x);
    const bool whole = tile >= last.begin && tile + kTileKeys <= first.end;  // every row sees every key
    if (!whole) hide_unseen(tile + rows.column(), {keys_of(row(0)), keys_of(row(1))}, r_x);
    rows.weigh(r_x, r_factor);

    copies.template wait<0>();
    if (!whole) {
      const bool bad = any_not_finite<KV, kWidth>(s_v, first_row(stage));
      if (rows.lane() == 0) s_bad.store(stage * kWarps + warp, bad ? 1 : 0);
    }
    // V of this tile and K of the next have arrived before any warp reads them. All warps have read K of this
    // tile and V of the last one before any warp requests the next ones.
    __syncthreads();
    copies.request_v(o, s_v, first_row(1 - stage));
    copies.request_k(o, s_k, first_row(stage));
    copies.close_group();
    if (!whole && any_of(s_bad.template load_vec<kWarps>(stage * kWarps))) {
      LASTROW_UNROLL
      for (int32_t j = 0; j < 2; ++j) {
        const KeyRange keys = keys_of(row(j));
        const int32_t begin = keys.begin > tile ? keys.begin - tile : 0;
        const int32_t end = keys.end < tile + kTileKeys ? keys.end - tile : kTileKeys;
        poison<KV, kWidth>(rows, j, s_v, stage * kTileKeys + begin, stage * kTileKeys + end);
      }
      __syncthreads();  // all warps have read V of this tile before any warp removes values from it
      take_out<KV, kWidth>(s_v, first_row(stage));
      __syncthreads();  // the values are removed before any warp multiplies
    }
    rows.add_values(r_x, r_factor, s_v, stage * kTileKeys);
    stage = 1 - stage;
  }

  rows.finish();
  LASTROW_UNROLL
  for (int32_t j = 0; j < 2; ++j) {
    const int64_t at = place_of(row(j));  // again, because registers are short
    if (at < 0) continue;
    const Softmax2& softmax = rows.softmax[j];
    if (rows.column() == 0) o.g_lse.store(at, softmax.lse());
    const float inverse = softmax.row_sum == 0 ? 0 : 1 / softmax.row_sum;  // 0: the row sees no key
    LASTROW_UNROLL
    for (int32_t n = 0; n < kWidth / 8; ++n) {
      const float* const r_pair = &rows.r_acc[n].x[j % 2 * 2];
      const Vec<float, 2> pair{r_pair[0] * inverse, r_pair[1] * inverse};
      if (8 * n < o.head_dim) o.g_out.template store_vec<2>(at * o.head_dim + 8 * n + rows.column(), pair);
    }
  }
}

template <typename KV, int32_t kWidth>
constexpr int64_t kSharedBytes = kStages*(2 * int64_t{sizeof(KV)} * kTileKeys * kWidth + 4 * kWarps);

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::bf16) return "it needs K/V in bf16";
  if (const std::string why_not = s.beyond_a_scale_and_a_window(); !why_not.empty()) return why_not;
  if (s.head_dim % 8 != 0) return "it needs head_dim to be a multiple of 8, as it copies 16 bytes";
  if (task.tuning.n_parts != 1) return "it needs n_parts 1, as it rounds q and p";
  if (const std::string why_not = too_many_sequences(s.n_seqs); !why_not.empty()) return why_not;
  if (s.head_dim > 64) return "it needs head_dim at most 64, as registers are short";
  return too_many_rows(s);
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  const auto n_tiles = static_cast<uint32_t>(ceil_div(int64_t{s.max_q_len} * s.group_size(), kQueries));
  const Dim3 grid{n_tiles, static_cast<uint32_t>(s.n_kv_heads), static_cast<uint32_t>(s.n_seqs)};
  launch(Kernel{"k12c_two_stages", k12c_two_stages<BFloat16, 64>}, grid, {kThreads},
         kSharedBytes<BFloat16, 64>, stream, operands<BFloat16>(call, 0));
}

}  // namespace

const Rung k12c{.name = "k12c",
                .parent = "k12b",
                .idea = "the next tile is copied meanwhile",
                .supports_one_type = supports,
                .scratch_elems = scratch_elems,
                .launch = start,
                .rounds = true};

}  // namespace lastrow::LASTROW_TARGET
