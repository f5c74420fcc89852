// k12: q and p in as many parts as it takes, or, with n_parts 1, matrices twice as tall.
//
// idea     registers limit what a warp can compute. It has room for several parts of q and p for 16 rows (exact, as in
//          k11b), or for one part for 32 rows. With 32 rows, each K/V matrix that is loaded is used twice
// since    k12c, which rounds q and p, and uses each loaded matrix for 16 rows. The parts of q, or two sixteens of it,
//          are in shared memory. Registers are short, so what depends on a row is computed again where it is needed,
//          and the last tile of rows comes first, because it sees most keys
// headers  It opens 13 headers, because products of matrices need the layouts of both instructions and of shared
//          memory.
// grid     x tile of rows r = t · group_size + head in its group, so a short prefill of many heads fills a
//          tile too; the last tile first, because it sees most keys; y K/V head g, z sequence. The grid is
//          made for the longest sequence that the call allows; a block past the last row returns at once
// block    4 warps; each copies 16 keys of a tile, and computes 16 of the 64 rows; with n_parts 1, 32 of 128
// group    none
// lane     two of 16 rows × two of 8 keys, or two of 8 d (tensor_cores.h)
// sums     as k11, with one softmax update per 64 keys. Here the parts cost time, because products are the
//          main work. Only tiles that some row sees in part test the mask. Only there can a row meet a V that
//          it does not see, and unseen_values.h keeps its NaN out of the row
// merge    none
// reads    K once and V once for each tile of rows: q_len · group_size / 64 times as much as is needed; tiles
//          that no row sees are skipped
// scratch  none
// shared   2 stages of 64 rows of K and of V, and q or its parts: at head_dim 128 this is 112 KiB in bf16, 96
//          in f16 and with n_parts 1; and 32 bytes. Two blocks of 4 warps fit on sm_90: one multiplies while
//          the other computes exponentials or waits at its barrier. One block of 8 warps would copy a tile
//          for twice the rows, but all of its warps would wait at once
// takes    f16, bf16; any group; head_dim a multiple of 8 up to 128, computed as 64 or 128; any block_len;
//          meant for prefill. sm_80 and later. With n_parts 1 no soft cap, ALiBi or sinks
// measured 32:8×128 b1 q4096 kv4096 bf16: 1012.7 µs (k12-rounded: 563.1 µs; H200, gpu/README.md).
//          Computed, in clocks, for a tile of 64 keys and 64 rows at head_dim 128 (README, "What the machine code
//          allows"):
//
//                         1 product a clock   63 % of that   shared memory   issue slots
//            bf16                     1,536          2,440           1,760         1,140
//            f16                      1,024          1,630           1,630           940
//            n_parts 1                  512            810             820           570
//
//          One product a clock is the dense peak of an H100. mma.sync reaches 63 % of it; to get more, a kernel
//          must use wgmma and TMA. Only n_parts 1 at head_dim 128 spills registers, 168 bytes: its outputs and
//          its scores of 32 rows × 64 keys need 192 registers
// source   Dao 2023, "FlashAttention-2"; arXiv 2402.13499 for mma.sync; tensor_cores.h, async_copy.h
#include "gpu/ladder/ladder.h"
#include "gpu/parts/unseen_values.h"
#include "gpu/parts/warp_rows.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
/// Query rows per warp, counted in sixteens: each K/V matrix that leaves shared memory serves all of them.
/// There are registers for two sixteens if q and p are not split into parts.
template <int32_t kParts>
constexpr int32_t kSixteens = kParts == 1 ? 2 : 1;
template <int32_t kParts>
constexpr int32_t kQueries = kWarps * 16 * kSixteens<kParts>;
constexpr int32_t kTileKeys = kWarps * kWarpKeys, kStages = 2;

/// Whether there are registers for soft cap, ALiBi and sinks apart from the window.
constexpr bool takes_all_rules(int32_t n_parts) { return n_parts != 1; }

/// Sets the scores of keys that a row does not see to −∞. r_x [kTileKeys / 8] holds scores of two rows; s is
/// the lane's first key.
__device__ inline void hide_unseen(int32_t s, const KeyRange (&keys)[2], FragmentC* r_x) {
  for (int32_t j = 0; j < kTileKeys / 8; ++j)
    for (int32_t e = 0; e < 4; ++e) {
      const int32_t key = s + 8 * j + e % 2;
      if (key < keys[e / 2].begin || key >= keys[e / 2].end) r_x[j].x[e] = kMinusInfinity;
    }
}

/// Soft cap and ALiBi, for the scores of the lane's rows. r_x as in hide_unseen, but of all rows; row0 is the
/// first of these, s the lane's first key.
template <int32_t n, typename KV>
__device__ inline void finish_rows(const AttendOperands<KV>& o, int32_t sequence, int32_t g, int32_t row0,
                                   int32_t s, FragmentC (&r_x)[n]) {
  const int32_t first_token = o.g_q_start.load(sequence),
                n_rows = (o.g_q_start.load(sequence + 1) - first_token) * o.group_size;
  LASTROW_UNROLL
  for (int32_t j = 0; j < n; ++j)
    for (int32_t e = 0; e < 4; ++e) {
      const int32_t r = row0 + j / (kTileKeys / 8) * 16 + e / 2 * 8,
                    key = s + j % (kTileKeys / 8) * 8 + e % 2;
      if (r >= n_rows || r_x[j].x[e] == kMinusInfinity) continue;
      r_x[j].x[e] = finish_score(o, sequence, first_token + r / o.group_size,
                                 g * o.group_size + r % o.group_size, key, r_x[j].x[e], kLog2E);
    }
}

template <typename KV, int32_t kWidth, int32_t kParts>
__global__ void __launch_bounds__(kThreads, 2) k12_tensor_prefill(AttendOperands<KV> o) {
  const int32_t sequence = blockIdx.z, g = blockIdx.y, tile_of_rows = gridDim.x - 1 - blockIdx.x;
  // Registers are short, so these are loaded again wherever they are needed, and all that depends on them is
  // computed again.
  const auto first_token = [&] { return o.g_q_start.load(sequence); };
  const auto q_len = [&] { return o.g_q_start.load(sequence + 1) - o.g_q_start.load(sequence); };
  constexpr int32_t kTall = kSixteens<kParts>, kBlockRows = kQueries<kParts>;
  const int32_t r0 = tile_of_rows * kBlockRows;
  if (r0 >= q_len() * o.group_size) return;  // the whole block

  using Rows = WarpRows<KV, kWidth, kParts, kBlockRows, kTall>;
  Rows rows;
  DynamicShared shared;
  const auto s_q = shared.take<KV>(Rows::kQueryElems, "s_q");             // [kParts, kBlockRows, kWidth]
  const auto s_k = shared.take<KV>(kStages * kTileKeys * kWidth, "s_k");  // [kStages, kTileKeys, kWidth]
  const auto s_v = shared.take<KV>(kStages * kTileKeys * kWidth, "s_v");  // the same; all swizzled
  const auto s_bad = shared.take<uint32_t>(kStages * kWarps, "s_bad");    // [kStages, kWarps]: V not finite
  const int32_t warp = static_cast<int32_t>(threadIdx.x) / kWarpSize, first_query = warp * 16 * kTall;

  // For row r: its row in q and out, or −1 past the last row; and the keys that it sees.
  const auto place_of = [&](int32_t r) -> int64_t {
    const int32_t t = r / o.group_size;
    return t < q_len() ? int64_t{first_token() + t} * o.n_q_heads + g * o.group_size + r % o.group_size : -1;
  };
  constexpr bool kAllRules = takes_all_rules(kParts);
  int32_t range = kAllRules && o.sinks_apart ? 0 : 1;  // of the keys: the sinks (0), the window (1)
  const auto keys_of = [&](int32_t r) -> KeyRange {
    const int32_t t = r / o.group_size, n = q_len();
    return t < n ? keys_seen(o, n, o.g_kv_len.load(sequence), t).range(range) : KeyRange{0, 0};
  };
  const auto row = [&](int32_t j) { return r0 + first_query + rows.row() + 8 * j; };  // the lane's j-th row
  {
    int64_t at[2 * kTall];
    for (int32_t j = 0; j < 2 * kTall; ++j) at[j] = place_of(row(j));
    rows.load_query(o, at, s_q, first_query, true);
  }

  for (; range < 2; ++range) {
    // A later row sees keys that begin and end later (or at the same place). So the first and the last row of
    // the tile bound what the others see.
    const int32_t n_rows = q_len() * o.group_size;
    KeyRange first = keys_of(r0);
    const KeyRange last = keys_of(r0 + kBlockRows < n_rows ? r0 + kBlockRows - 1 : n_rows - 1);
    if (range == 1 && first.begin < o.table_sinks)
      first.begin = o.table_sinks;  // for rows that see nothing here
    const int32_t first_tile = first.begin / kTileKeys * kTileKeys;
    WarpCopies<KV, kWidth, kTileKeys> copies(o, sequence, g, {first.begin, last.end}, first_tile);
    const auto first_row = [&](int32_t stage) { return stage * kTileKeys + warp * kWarpKeys; };
    copies.request_k(o, s_k, first_row(0));
    copies.close_group();
    copies.request_v(o, s_v, first_row(0));
    copies.request_k(o, s_k, first_row(1));
    copies.close_group();
    copies.template wait<1>();
    __syncthreads();  // K of the first tile has arrived, and s_q is written, before any warp reads them

    int32_t stage = 0;
    for (int32_t tile = first_tile; tile < last.end; tile += kTileKeys) {
      FragmentC r_x[kTall * kTileKeys / 8];
      float r_factor[2 * kTall];
      rows.scores(s_q, first_query, s_k, stage * kTileKeys, r_x);
      const bool whole = tile >= last.begin && tile + kTileKeys <= first.end;  // every row sees every key
      for (int32_t m = 0; m < kTall && !whole; ++m)
        hide_unseen(tile + rows.column(), {keys_of(row(2 * m)), keys_of(row(2 * m + 1))},
                    &r_x[m * kTileKeys / 8]);
      if (kAllRules && !o.score.only_scales()) finish_rows(o, sequence, g, row(0), tile + rows.column(), r_x);
      rows.weigh(r_x, r_factor);

      copies.template wait<0>();
      if (!whole) {
        const bool bad = any_not_finite<KV, kWidth>(s_v, first_row(stage));
        if (rows.lane() == 0) s_bad.store(stage * kWarps + warp, bad ? 1 : 0);
      }
      // V of this tile and K of the next have arrived before any warp reads them. All warps have read K of
      // this tile and V of the last one before any warp requests the next ones.
      __syncthreads();
      copies.request_v(o, s_v, first_row(1 - stage));
      copies.request_k(o, s_k, first_row(stage));
      copies.close_group();
      if (!whole && any_of(s_bad.template load_vec<kWarps>(stage * kWarps))) {
        LASTROW_UNROLL
        for (int32_t j = 0; j < 2 * kTall; ++j) {
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
    if (range == 0) {
      copies.template wait<0>();
      __syncthreads();  // all warps have read the sinks before any warp requests keys of the window
    }
  }

  rows.finish();
  LASTROW_UNROLL
  for (int32_t j = 0; j < 2 * kTall; ++j) {
    const int64_t at = place_of(row(j));
    if (at < 0) continue;
    const Softmax2& softmax = rows.softmax[j];
    if (rows.column() == 0) o.g_lse.store(at, softmax.lse());
    const float inverse = softmax.row_sum == 0 ? 0 : 1 / softmax.row_sum;  // 0: the row sees no key
    LASTROW_UNROLL
    for (int32_t n = 0; n < kWidth / 8; ++n) {
      const float* const r_pair = &rows.r_acc[j / 2 * Rows::kEights + n].x[j % 2 * 2];
      const Vec<float, 2> pair{r_pair[0] * inverse, r_pair[1] * inverse};
      if (8 * n < o.head_dim) o.g_out.template store_vec<2>(at * o.head_dim + 8 * n + rows.column(), pair);
    }
  }
}

template <typename KV, int32_t kWidth, int32_t kParts>
constexpr int64_t kSharedBytes =
    2 * (WarpRows<KV, kWidth, kParts, kQueries<kParts>, kSixteens<kParts>>::kQueryElems +
         int64_t{2} * kStages * kTileKeys * kWidth) +
    4 * kStages* kWarps;

int64_t shared_bytes(const gpu::AttendTask& task) {
  int64_t n = 0;
  with_kv_type<Half, BFloat16>(task.shape.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(task,
                           [&]<int32_t kWidth, int32_t kParts>() { n = kSharedBytes<KV, kWidth, kParts>; });
  });
  return n;
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f16 && s.kv_dtype != DType::bf16) return "it needs K/V in f16 or bf16";
  if (s.head_dim % 8 != 0) return "it needs head_dim to be a multiple of 8, as it copies 16 bytes";
  if (task.tuning.n_parts < 0 || task.tuning.n_parts > 1) return "it needs n_parts 0 or 1";
  if (!takes_all_rules(task.tuning.n_parts) && (s.sinks_apart || s.finishes_scores))
    return "with n_parts 1 it takes no soft cap, ALiBi or sinks, as registers are short";
  if (const std::string why_not = too_many_sequences(s.n_seqs); !why_not.empty()) return why_not;
  if (s.head_dim > 128) return "it needs head_dim at most 128, as registers are short";
  if (const std::string why_not = too_many_rows(s); !why_not.empty()) return why_not;
  return shared_bytes(task) <= task.device.max_shared_bytes
             ? ""
             : "its tiles need more shared memory than this device has";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<Half, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(call.task, [&]<int32_t kWidth, int32_t kParts>() {
      const int64_t n_rows = int64_t{s.max_q_len} * s.group_size();
      const Dim3 grid{static_cast<uint32_t>(ceil_div(n_rows, kQueries<kParts>)),
                      static_cast<uint32_t>(s.n_kv_heads), static_cast<uint32_t>(s.n_seqs)};
      launch(Kernel{"k12_tensor_prefill", k12_tensor_prefill<KV, kWidth, kParts>}, grid, {kThreads},
             kSharedBytes<KV, kWidth, kParts>, stream, operands<KV>(call, 0));
    });
  });
}

}  // namespace

const Rung k12{.name = "k12",
               .parent = "k12c",
               .idea = "q and p in parts, or rows twice as tall",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
