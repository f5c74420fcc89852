// k12: tensor cores for prefill, 64 query rows a block (or 128) against tiles of 64 keys.
//
// idea     k04 with matrices: a tile of K/V in shared memory serves 64 query rows, whose scores, weights and
//          outputs stay in registers; what is left to do is products
// since    k11: rows are (token, head of a group), not the heads of one token; all warps read all keys of a
//          tile, not sixteen each; nobody shares rows, so nothing is merged. Two barriers a tile
// grid     x tile of rows r = t · group_size + head in its group (short prefills of many heads fill a tile
//          too), last first: they see most; y K/V head g, z sequence; from the bounds, a block past the last
//          row leaves
// block    4 warps; each copies 16 keys of a tile, and has 16 of the 64 rows; with n_parts 1 32 of 128
// group    none
// lane     two of 16 rows × two of 8 keys, or of 8 d (tensor_cores.h)
// sums     as k11, one softmax update for 64 keys (32 with n_parts 1); here parts cost time, as products are
//          what there is to do. The mask is tested only in tiles that some row sees in part: only there can a
//          row meet a V that it does not see, and is kept from its NaN
// merge    none
// reads    K once, V once for each tile of rows: q_len · group_size / 64 times what is needed; tiles that no
//          row sees are skipped
// scratch  none
// shared   2 stages of 64 rows of K and of V, q or its parts: at head_dim 128 112 KiB in bf16, 96 in f16 and
//          with n_parts 1
// takes    f16, bf16; any group; head_dim a multiple of 8 up to 128, computed as 64 or 128; any block_len;
//          meant for prefill. sm_80 and later
// expects  with n_parts 1 a third of what wgmma and TMA reach on an H100 (not in this rung): what comes from
//          shared memory takes longer than products (README, "What the machine code allows"); so a warp has
//          32 rows where registers hold them. At head_dim 128 some are spilled: 72 bytes in f16, 348 in
//          bf16, 724 with n_parts 1. Never run on hardware
// source   Dao 2023, "FlashAttention-2"; tensor_cores.h, async_copy.h
#include "gpu/kernels/ladder.h"
#include "gpu/kernels/lane_rows.h"
#include "gpu/kernels/warp_rows.h"

namespace lastrow::LASTROW_TARGET {
namespace {

/// Rows of q of a warp, in sixteens: each K/V matrix out of shared memory serves all of them. Registers hold
/// two where q and p are not in parts.
template <int32_t kParts>
constexpr int32_t kSixteens = kParts == 1 ? 2 : 1;
template <int32_t kParts>
constexpr int32_t kQueries = kRowThreads / kWarpSize * 16 * kSixteens<kParts>;
constexpr int32_t kTileKeys = kRowThreads / kWarpSize * kWarpKeys, kStages = 2;

/// Scores of keys that a row does not see become −∞: r_x [kKeys / 8] of the keys from the lane's first, s,
/// on, for two rows. Bit 4 j + e says of r_x[j].x[e] whether its row sees it.
template <int32_t kKeys>
__device__ inline uint32_t hide_unseen(int32_t s, const KeyRange* keys, FragmentC* r_x) {
  uint32_t seen = 0;
  for (int32_t j = 0; j < kKeys / 8; ++j)
    for (int32_t e = 0; e < 4; ++e) {
      const int32_t key = s + 8 * j + e % 2;
      const bool sees = key >= keys[e / 2].begin && key < keys[e / 2].end;
      seen |= (sees ? 1u : 0u) << (4 * j + e);
      if (!sees) r_x[j].x[e] = kMinusInfinity;
    }
  return seen;
}

template <typename KV, int32_t kWidth, int32_t kParts>
__global__ void __launch_bounds__(kRowThreads, 2) k12_tensor_prefill(AttendOperands<KV> o) {
  const int32_t sequence = blockIdx.z, g = blockIdx.y, tile_of_rows = gridDim.x - 1 - blockIdx.x;
  const int32_t first_token = o.g_q_start.load(sequence),
                q_len = o.g_q_start.load(sequence + 1) - first_token;
  const int32_t kv_len = o.g_kv_len.load(sequence), n_rows = q_len * o.group_size;
  constexpr int32_t kTall = kSixteens<kParts>, kBlockRows = kQueries<kParts>;
  const int32_t r0 = tile_of_rows * kBlockRows;
  if (r0 >= n_rows) return;  // the whole block

  using Rows = WarpRows<KV, kWidth, kParts, kBlockRows, kTall>;
  Rows rows;
  DynamicShared shared;
  const auto s_q = shared.take<KV>(Rows::kQueryElems, "s_q");             // [kParts, kBlockRows, kWidth]
  const auto s_k = shared.take<KV>(kStages * kTileKeys * kWidth, "s_k");  // [kStages, kTileKeys, kWidth]
  const auto s_v = shared.take<KV>(kStages * kTileKeys * kWidth, "s_v");  // the same; all swizzled
  const int32_t warp = static_cast<int32_t>(threadIdx.x) / kWarpSize, first_query = warp * 16 * kTall;

  // Of the lane's row j: where it is in q and out, −1 past the last row; and the keys that it sees. Worked
  // out anew where they are needed: registers are.
  const auto row_at = [&](int32_t j) -> int64_t {
    const int32_t r = r0 + first_query + rows.row() + 8 * j, t = r / o.group_size;
    return r < n_rows ? int64_t{first_token + t} * o.n_q_heads + g * o.group_size + r % o.group_size : -1;
  };
  const auto keys_of_row = [&](int32_t j) -> KeyRange {
    const int32_t r = r0 + first_query + rows.row() + 8 * j;
    return r < n_rows ? visible_keys(o.mask, q_len, kv_len, r / o.group_size) : KeyRange{0, 0};
  };
  {
    int64_t at[2 * kTall];
    for (int32_t j = 0; j < 2 * kTall; ++j) at[j] = row_at(j);
    rows.load_query(o, at, s_q, first_query, true);
  }
  __syncwarp();  // the warp's rows of s_q are written before any lane reads them

  // Begin and end of what a row sees grow with r: the tile's first and last row bound the others.
  const int32_t r_last = r0 + kBlockRows < n_rows ? r0 + kBlockRows - 1 : n_rows - 1;
  const KeyRange first = visible_keys(o.mask, q_len, kv_len, r0 / o.group_size);
  const KeyRange last = visible_keys(o.mask, q_len, kv_len, r_last / o.group_size);
  const int32_t first_tile = first.begin / kTileKeys * kTileKeys;
  WarpCopies<KV, kWidth, kTileKeys> copies(o, sequence, g, {first.begin, last.end}, first_tile);
  const auto request = [&](int32_t stage) {
    copies.request(o, s_k, s_v, stage * kTileKeys + warp * kWarpKeys);
  };
  if (first_tile < last.end)
    for (int32_t stage = 0; stage < kStages; ++stage) request(stage);

  constexpr int32_t kKeys = kTileKeys / kTall;  // whose scores registers hold
  int32_t stage = 0;
  for (int32_t tile = first_tile; tile < last.end; tile += kTileKeys) {
    copies.template wait<kStages - 1>();
    __syncthreads();  // the copies of all warps have landed before any warp reads them
    LASTROW_UNROLL
    for (int32_t s0 = 0; s0 < kTileKeys; s0 += kKeys) {
      FragmentC r_x[kTall * kKeys / 8];
      float r_factor[2 * kTall];
      rows.scores(s_q, first_query, s_k, stage * kTileKeys + s0, r_x);
      if (tile + s0 >= last.begin && tile + s0 + kKeys <= first.end) {  // every row sees every key
        rows.weigh(r_x, r_factor);
        rows.add_values(r_x, r_factor, s_v, stage * kTileKeys + s0);
      } else {
        uint32_t seen[kTall];  // bit 4 j + e: r_x[m][j].x[e] is of a key that its row sees
        for (int32_t m = 0; m < kTall; ++m) {
          const KeyRange keys[2] = {keys_of_row(2 * m), keys_of_row(2 * m + 1)};
          seen[m] = hide_unseen<kKeys>(tile + s0 + rows.column(), keys, &r_x[m * kKeys / 8]);
        }
        rows.weigh(r_x, r_factor);
        rows.template add_values<true>(r_x, r_factor, s_v, stage * kTileKeys + s0, seen);
      }
    }
    __syncthreads();  // all warps have read this stage before any asks for its next rows
    request(stage);
    stage = 1 - stage;
  }

  rows.finish();
  LASTROW_UNROLL
  for (int32_t j = 0; j < 2 * kTall; ++j) {
    const int64_t at = row_at(j);
    if (at < 0) continue;
    const Softmax2& softmax = rows.softmax[j];
    if (rows.column() == 0) o.g_lse.store(at, softmax.lse());
    LASTROW_UNROLL
    for (int32_t n = 0; n < kWidth / 8; ++n) {
      Vec<float, 2> pair;  // 0 where the row sees no key
      for (int32_t e = 0; e < 2; ++e)
        pair.x[e] = softmax.row_sum == 0
                        ? 0
                        : rows.r_acc[j / 2 * Rows::kEights + n].x[j % 2 * 2 + e] / softmax.row_sum;
      if (8 * n < o.head_dim) o.g_out.template store_vec<2>(at * o.head_dim + 8 * n + rows.column(), pair);
    }
  }
}

template <typename KV, int32_t kWidth, int32_t kParts>
constexpr int64_t kSharedBytes =
    (WarpRows<KV, kWidth, kParts, kQueries<kParts>, kSixteens<kParts>>::kQueryElems +
     int64_t{2} * kStages * kTileKeys * kWidth) *
    2;

int64_t shared_bytes(const gpu::AttendShape& s) {
  int64_t n = 0;
  with_kv_type<Half, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(s,
                           [&]<int32_t kWidth, int32_t kParts>() { n = kSharedBytes<KV, kWidth, kParts>; });
  });
  return n;
}

std::string supports(const gpu::AttendShape& s) {
  if (s.kv_dtype != DType::f16 && s.kv_dtype != DType::bf16) return "K/V are f16 or bf16";
  if (s.head_dim % 8 != 0) return "head_dim is a multiple of 8: copies of 16 bytes";
  if (s.n_parts < 0 || s.n_parts > 1) return "n_parts is 0 or 1";
  if (const std::string why_not = too_many_sequences(s.n_seqs); !why_not.empty()) return why_not;
  if (s.head_dim > 128) return "head_dim is at most 128: registers";
  return shared_bytes(s) <= s.max_shared_bytes ? ""
                                               : "its tiles need more shared memory than this device has";
}

int64_t scratch_elems(const gpu::AttendShape&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<Half, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(s, [&]<int32_t kWidth, int32_t kParts>() {
      const int64_t n_rows = int64_t{s.max_q_len} * s.group_size();
      const Dim3 grid{static_cast<uint32_t>(ceil_div(n_rows, kQueries<kParts>)),
                      static_cast<uint32_t>(s.n_kv_heads), static_cast<uint32_t>(s.n_seqs)};
      launch(Kernel{"k12_tensor_prefill", k12_tensor_prefill<KV, kWidth, kParts>}, grid, {kRowThreads},
             kSharedBytes<KV, kWidth, kParts>, stream, operands<KV>(call, 0));
    });
  });
}

}  // namespace

const Rung k12{"k12", "tensor cores for prefill", supports, scratch_elems, start};

}  // namespace lastrow::LASTROW_TARGET
