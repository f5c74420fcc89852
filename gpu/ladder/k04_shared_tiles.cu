// k04: a block takes a tile of queries, and each K/V row that it reads serves all of them from shared memory.
//
// idea     tiles of 16 queries × 32 keys: K and V are read once per tile of queries, not once per query
// since    k03, where each warp read every row for itself and updated its softmax at each key
// rewrite  Half of the lines of k03 change. A block now computes a tile; in k03 a warp computed one row. So places,
//          loads and sums look different.
// grid     x tile of queries, y query head h, z sequence. The grid is made for the longest sequence that the
//          call allows; a block whose tile begins past q_len returns at once
// block    4 warps; each copies every fourth K/V row of a tile, and computes 4 of the 16 queries
// group    none
// lane     one key of the tile for the scores; d = lane, lane + 32, … for the weighted sum of V
// sums     in float, with e^x; one softmax update per tile. Only tiles that some query sees in part test the
//          mask
// merge    none
// reads    K once and V once for each (tile of queries, h): q_len / 16 · group_size times as much as is
//          needed. Tiles that no query sees are skipped
// scratch  none
// shared   q [16, stride], K [32, stride], V [32, stride], weights [4, 32, 4], f32: 83 KiB at head_dim 256
// takes    f32, bf16; any group; head_dim up to 256; meant for prefill (decode fills 1 of the 16 queries)
// measured in decode, 32:8×128 b1 kv4096 bf16: 1923.5 µs, 0 % of read (H200, gpu/README.md); prefill not yet. A lane
//          loads from shared memory 5 times for each 16 multiply-adds of the scores. For the weighted sum of V it is
//          the same at head_dim 128, and 3 loads for 8 multiply-adds at head_dim 64
// source   Dao et al. 2022, "FlashAttention"
#include "attention/softmax_state.h"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kWarpQueries = 4, kQueries = kWarps * kWarpQueries;
constexpr int32_t kKeys = kWarpSize;

LASTROW_HD constexpr int32_t row_width(int32_t head_dim) { return (head_dim + 3) / 4 * 4; }
/// Floats from one row to the next: an odd number of 16-byte steps. So 8 lanes that read 16 bytes each, of 8
/// different rows, read from different banks.
LASTROW_HD constexpr int32_t row_stride(int32_t head_dim) { return (row_width(head_dim) / 4 | 1) * 4; }

/// Copies row s of K and of V to element `to` of the tile, as f32. Writes zeros past head_dim, and everywhere
/// if not `present`.
template <typename KV>
__device__ void load_row(const AttendOperands<KV>& o, int32_t sequence, int32_t g, int32_t s, bool present,
                         int32_t to, Shared<float> s_k, Shared<float> s_v) {
  const int64_t from = present ? row_offset(o.layout, slot_at(o, sequence, s), g) : 0;
  for (int32_t d = threadIdx.x % kWarpSize; d < row_width(o.head_dim); d += kWarpSize) {
    const bool stored = present && d < o.head_dim;
    s_k.store(to + d, stored ? decode(o.g_k.load(from + d)) : 0);
    s_v.store(to + d, stored ? decode(o.g_v.load(from + d)) : 0);
  }
}

template <typename KV, int kMaxHeadDim>
__global__ void k04_shared_tiles(AttendOperands<KV> o) {
  constexpr int32_t kDims = kMaxHeadDim / kWarpSize;  // kDims per lane: d = lane + 32 c
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int32_t sequence = blockIdx.z, h = blockIdx.y, g = h / o.group_size, t0 = blockIdx.x * kQueries;
  const int32_t first_token = o.g_q_start.load(sequence),
                q_len = o.g_q_start.load(sequence + 1) - first_token;
  const int32_t kv_len = o.g_kv_len.load(sequence), head_dim = o.head_dim, stride = row_stride(head_dim);
  if (t0 >= q_len) return;  // the whole block

  DynamicShared shared;
  const auto s_q = shared.take<float>(kQueries * stride, "s_q");   // [kQueries, stride]
  const auto s_k = shared.take<float>(kKeys * stride, "s_k");      // [kKeys, stride]
  const auto s_v = shared.take<float>(kKeys * stride, "s_v");      // [kKeys, stride]
  const auto s_p = shared.take<float>(kWarps * kKeys * 4, "s_p");  // [kWarps, kKeys, kWarpQueries]
  for (int32_t j = warp; j < kQueries; j += kWarps)
    for (int32_t d = lane; d < row_width(head_dim); d += kWarpSize)
      s_q.store(j * stride + d,
                t0 + j < q_len && d < head_dim
                    ? o.g_q.load((int64_t{first_token + t0 + j} * o.n_q_heads + h) * head_dim + d)
                    : 0);

  // A later query sees keys that begin and end later (or at the same place). So the first and the last query
  // of the tile bound what the others see.
  const int32_t t_last = t0 + kQueries < q_len ? t0 + kQueries - 1 : q_len - 1;
  const VisibleKeys first = keys_seen(o, q_len, kv_len, t0), last = keys_seen(o, q_len, kv_len, t_last);
  const VisibleKeys some{first.begin, last.end, last.sinks};  // the keys that some query sees, and maybe more
  VisibleKeys keys[kWarpQueries];
  for (int32_t j = 0; j < kWarpQueries; ++j) {
    const int32_t t = t0 + warp * kWarpQueries + j;
    keys[j] = t < q_len ? keys_seen(o, q_len, kv_len, t) : VisibleKeys{0, 0};
  }

  SoftmaxState<float> state[kWarpQueries];
  float r_acc[kWarpQueries][kDims] = {};  // [j][c] Σ_s exp(score_s − row_max) v[s, d]
  for (int32_t s0 = some.first_tile(kKeys); s0 < some.end; s0 = some.next_tile(s0, kKeys)) {
    __syncthreads();  // all warps have read the last tile's K and V before any writes this tile's
    for (int32_t r = warp; r < kKeys; r += kWarps) {
      const bool present = some.sees(s0 + r);
      load_row(o, sequence, g, s0 + r, present, r * stride, s_k, s_v);
    }
    __syncthreads();  // q, K and V are written before any warp reads them

    float score[kWarpQueries] = {};  // of key s0 + lane
    for (int32_t d = 0; d < head_dim; d += 4) {
      const Vec<float, 4> k = s_k.load_vec<4>(lane * stride + d);
      for (int32_t j = 0; j < kWarpQueries; ++j) {
        const Vec<float, 4> q = s_q.load_vec<4>((warp * kWarpQueries + j) * stride + d);
        for (int32_t e = 0; e < 4; ++e) score[j] += q.x[e] * k.x[e];
      }
    }

    // Every query sees every key: with sinks, in the window alone.
    const bool whole = s0 >= last.begin && s0 + kKeys <= first.end;
    Vec<float, kWarpQueries> weight;
    for (int32_t j = 0; j < kWarpQueries; ++j) {
      const bool sees = whole || keys[j].sees(s0 + lane);
      float x = sees ? score[j] * o.score.query_factor() : kMinusInfinity;
      if (!o.score.only_scales() && sees && t0 + warp * kWarpQueries + j < q_len)
        x = finish_score(o, sequence, first_token + t0 + warp * kWarpQueries + j, h, s0 + lane, x, 1);
      const float tile_max = warp_max(x);
      const float p = x == kMinusInfinity ? 0 : expf(x - tile_max);
      const auto factor = state[j].merge({tile_max, warp_sum(p)});
      weight.x[j] = p * factor.other;
      for (int32_t c = 0; c < kDims; ++c) r_acc[j][c] *= factor.self;
    }
    s_p.store_vec<4>((warp * kKeys + lane) * 4, weight);
    __syncwarp();  // the weights of all 32 keys are written before a lane reads them

    for (int32_t r = 0; r < kKeys; ++r) {
      const Vec<float, 4> w = s_p.load_vec<4>((warp * kKeys + r) * 4);
      for (int32_t c = 0; c < kDims; ++c) {
        if (lane + c * kWarpSize >= head_dim) continue;
        const float v = s_v.load(r * stride + lane + c * kWarpSize);
        for (int32_t j = 0; j < kWarpQueries; ++j)  // V of a key that the query does not see may be NaN
          if (whole || keys[j].sees(s0 + r)) r_acc[j][c] += w.x[j] * v;
      }
    }
  }

  for (int32_t j = 0; j < kWarpQueries; ++j) {
    const int32_t t = t0 + warp * kWarpQueries + j;
    if (t >= q_len) continue;
    const int64_t row = int64_t{first_token + t} * o.n_q_heads + h;
    for (int32_t c = 0; c < kDims; ++c)
      if (lane + c * kWarpSize < head_dim)  // 0 where the query sees no key
        o.g_out.store(row * head_dim + lane + c * kWarpSize,
                      state[j].row_sum == 0 ? 0 : r_acc[j][c] / state[j].row_sum);
    if (lane == 0) o.g_lse.store(row, state[j].lse());
  }
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  if (const std::string why_not = too_many_sequences(s.n_seqs); !why_not.empty()) return why_not;
  return s.kv_dtype == DType::f32 || s.kv_dtype == DType::bf16 ? "" : "it needs K/V in f32 or bf16";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  const auto n_tiles = static_cast<uint32_t>(ceil_div(s.max_q_len, kQueries));
  const Dim3 grid{n_tiles, static_cast<uint32_t>(s.n_q_heads), static_cast<uint32_t>(s.n_seqs)};
  const int64_t shared_floats =
      int64_t{kQueries + 2 * kKeys} * row_stride(s.head_dim) + kWarps * kKeys * kWarpQueries;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    const auto kernel = s.head_dim <= 64    ? k04_shared_tiles<KV, 64>
                        : s.head_dim <= 128 ? k04_shared_tiles<KV, 128>
                                            : k04_shared_tiles<KV, 256>;
    launch(Kernel{"k04_shared_tiles", kernel}, grid, {kThreads}, shared_floats * 4, stream,
           operands<KV>(call, scratch_elems(call.task)));
  });
}

}  // namespace

const Rung k04{.name = "k04",
               .parent = "k03",
               .idea = "tiles of queries and keys in shared memory",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
