// k05: each lane loads 16 bytes, of several keys at once, so memory is busy while scores are summed.
//
// idea     a group of few lanes reads a key's row in 16-byte loads, and keeps the loads of 4 keys in flight
// since    k03, which loads 2 or 4 bytes per lane, for one key at a time, and updates the softmax at each key
// rewrite  Half of the lines of k03 change. A lane now holds neighbouring elements of several keys, so each line
//          that names them changes.
// grid     x rows (token t, query head h), 4 per block
// block    4 warps, one row each, which share nothing
// group    head_dim · sizeof(KV) / 16 lanes, rounded up to a power of two: keys s0 + j · n_groups + group,
//          j = 0 … 3
// lane     16 bytes of a row of K and of V (32 where the row has more than 512); the same d of q and out
// sums     in float, with 2^x and q multiplied by log2 e (softmax2.h); one softmax update per tile of 4 keys
//          per group
// merge    the groups of a warp at the end, by shuffles
// reads    K once and V once for each (t, h): group_size times as much as is needed; 8 loads · 16 bytes ·
//          32 lanes = 4 KiB per warp in flight
// scratch  none
// shared   none
// takes    f32, bf16; rows of a multiple of 16 bytes; any group; head_dim up to 256 (64 and 128 are
//          compile-time constants); decode and prefill
// measured 32:8×128 b1 kv4096 bf16: 1490.1 µs, 0 % of read (k03: 4814.5 µs; H200, gpu/README.md). The divisions that
//          find each key's slot take more instructions than its scores
// source   CUDA C++ Programming Guide, "Device Memory Accesses"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/lane_groups.h"
#include "gpu/parts/softmax2.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kInFlight = 4;  // keys that a group loads at once: its share of a tile

/// kHeadDim 0: head_dim is known only at the launch. This instance also takes the calls that gpu::has_rules.
template <typename KV, int kHeadDim>
__global__ void __launch_bounds__(kThreads) k05_vector_loads(AttendOperands<KV> o) {
  constexpr int32_t kVec = kLoadBytes / sizeof(KV);                    // elements per load
  constexpr int32_t kVecs = kHeadDim == 0 && sizeof(KV) == 4 ? 2 : 1;  // loads per lane for one row
  constexpr bool kAllRules = kHeadDim == 0;  // takes soft cap, ALiBi, sinks, and tables with places to skip
  const int32_t head_dim = kHeadDim == 0 ? o.head_dim : kHeadDim;
  const int32_t n_lanes = lanes_per_key(head_dim * static_cast<int32_t>(sizeof(KV)));
  const int32_t n_groups = kWarpSize / n_lanes;
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int32_t group = lane / n_lanes, part = lane % n_lanes;
  const int64_t row = int64_t{blockIdx.x} * kWarps + warp;  // the row of q, out and lse
  if (row >= int64_t{o.n_tokens} * o.n_q_heads) return;     // all lanes of the warp, or none
  const auto token = static_cast<int32_t>(row / o.n_q_heads);
  const auto h = static_cast<int32_t>(row % o.n_q_heads), g = h / o.group_size;
  const int32_t sequence = o.g_seq_of_token.load(token);
  VisibleKeys keys = keys_of(o, sequence, token);
  if (!kAllRules) keys.sinks = 0;

  const auto dim = [&](int32_t v) { return (v * n_lanes + part) * kVec; };  // first d of the lane's v-th load
  float r_q[kVecs][kVec] = {};    // [v][e] q[dim(v) + e]; 0 past head_dim
  float r_acc[kVecs][kVec] = {};  // [v][e] Σ_s 2^(x_s − row_max) v[s, d] over the group's keys
  for (int32_t v = 0; v < kVecs; ++v)
    for (int32_t e = 0; e < kVec; e += 4) {
      if (dim(v) >= head_dim) continue;
      const auto q = o.g_q.template load_vec<4>(row * head_dim + dim(v) + e);
      for (int32_t f = 0; f < 4; ++f) r_q[v][e + f] = q.x[f] * o.score.query_factor(kLog2E);
    }

  Softmax2 state;  // of the group's keys
  const int32_t tile = n_groups * kInFlight;
  for (int32_t s0 = keys.first_tile(tile); s0 < keys.end; s0 = keys.next_tile(s0, tile)) {
    Vec<KV, kVec> r_k[kInFlight][kVecs] = {}, r_v[kInFlight][kVecs] = {};  // zeros where no key is seen
    bool seen[kInFlight];
    for (int32_t j = 0; j < kInFlight; ++j) {
      const int32_t s = s0 + j * n_groups + group;
      seen[j] = keys.sees(s);
      if (!seen[j]) continue;
      const int64_t kv = row_offset(o.layout, slot_at<kAllRules>(o, sequence, s), g);
      for (int32_t v = 0; v < kVecs; ++v) {
        if (dim(v) >= head_dim) continue;
        r_k[j][v] = o.g_k.template load_vec<kVec>(kv + dim(v));
        r_v[j][v] = o.g_v.template load_vec<kVec>(kv + dim(v));
      }
    }

    float x[kInFlight], tile_max = kMinusInfinity;
    for (int32_t j = 0; j < kInFlight; ++j) {
      float sum = 0;
      for (int32_t v = 0; v < kVecs; ++v)
        for (int32_t e = 0; e < kVec; ++e) sum += r_q[v][e] * decode(r_k[j][v].x[e]);
      sum = sum_within(sum, n_lanes);  // every lane takes part, seen or not
      if (kAllRules && seen[j] && !o.score.only_scales())
        sum = finish_score(o, sequence, token, h, s0 + j * n_groups + group, sum, kLog2E);
      x[j] = seen[j] ? sum : kMinusInfinity;
      if (x[j] > tile_max) tile_max = x[j];
    }

    const float factor = state.raise(tile_max);
    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; ++e) r_acc[v][e] *= factor;
    for (int32_t j = 0; j < kInFlight; ++j) {
      const float p = state.weigh(x[j]);
      for (int32_t v = 0; v < kVecs; ++v)
        for (int32_t e = 0; e < kVec; ++e) r_acc[v][e] += p * decode(r_v[j][v].x[e]);
    }
  }

  // Merge the states of the groups; each group then holds the result.
  const float row_max = max_across(state.row_max, n_lanes);
  const float factor = Softmax2::rescale(state.row_max, row_max);
  state = {row_max, sum_across(state.row_sum * factor, n_lanes)};
  const float norm = state.row_sum == 0 ? 0 : 1 / state.row_sum;  // 0 where the query sees no key
  for (int32_t v = 0; v < kVecs; ++v)
    for (int32_t e = 0; e < kVec; ++e) r_acc[v][e] = sum_across(r_acc[v][e] * factor, n_lanes) * norm;

  for (int32_t v = 0; v < kVecs; ++v)
    for (int32_t e = 0; e < kVec; e += 4)
      if (group == 0 && dim(v) < head_dim)
        o.g_out.template store_vec<4>(row * head_dim + dim(v) + e,
                                      {r_acc[v][e], r_acc[v][e + 1], r_acc[v][e + 2], r_acc[v][e + 3]});
  if (lane == 0) o.g_lse.store(row, state.lse());
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  const auto row_bytes = s.head_dim * static_cast<int32_t>(size_of(s.kv_dtype.k));
  return row_bytes % kLoadBytes == 0 ? "" : "it needs rows of K and V that are a multiple of 16 bytes";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  const int64_t n_rows = int64_t{s.n_tokens} * s.n_q_heads;
  if (n_rows == 0) return;
  const auto n_blocks = static_cast<uint32_t>(ceil_div(n_rows, kWarps));
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    const int32_t fixed_dim = gpu::has_rules(call) ? 0 : s.head_dim;
    const auto kernel = fixed_dim == 64    ? k05_vector_loads<KV, 64>
                        : fixed_dim == 128 ? k05_vector_loads<KV, 128>
                                           : k05_vector_loads<KV, 0>;
    launch(Kernel{"k05_vector_loads", kernel}, {n_blocks}, {kThreads}, 0, stream,
           operands<KV>(call, scratch_elems(call.task)));
  });
}

}  // namespace

const Rung k05{.name = "k05",
               .parent = "k03",
               .idea = "16 bytes per lane, several keys at once",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
