// k06: K and V are read once for all query heads that share them.
//
// idea     a K/V row in registers is used for all query heads of the group
// since    k05, where each query head read the rows of its K/V head for itself
// grid     x (token t, K/V head g, chunk of its query heads), 4 per block. A chunk is 4 heads if the group
//          has at most 4, otherwise 8. So 9 warps read the same K/V rows for a group of 71 heads
// block    4 warps, one chunk each, which share nothing. The chunks of a group are neighbours, so the second
//          finds in L1 what the first has read
// group    of lanes, as in k05: one key's row
// lane     16 bytes of a row of K and of V (32 where the row has more than 512); the same d of q and out
// sums     as k05, for each head of the chunk
// merge    as k05
// reads    K once and V once for each (t, g) and chunk: no more than is needed if group_size ≤ 8. A group of
//          lanes has 4 keys in flight with 4 heads and 2 keys with 8 heads, because registers are short: 4 or
//          2 KiB per warp
// scratch  none
// shared   none
// takes    f32, bf16; rows of a multiple of 16 bytes; any group; head_dim up to 256; decode and prefill
// measured 32:8×128 b1 kv4096 bf16: 1904.0 µs, 0 % of read (k05: 1490.1 µs; H200, gpu/README.md). It reads a quarter of
//          k05's bytes, but it has work for 8 warps and k05 for 32, and both leave most of the GPU idle (k07). Not
//          measured with enough sequences to fill the GPU. There 8 heads leave registers for 8 warps per SM, 16 KiB in
//          flight, and multiply-adds and shuffles take as long as memory
// source   Ainslie et al. 2023, "GQA"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/lane_groups.h"
#include "gpu/parts/softmax2.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;

/// kHeadDim 0: head_dim is known only at the launch. This instance also takes the calls that gpu::has_rules.
template <typename KV, int kHeadDim, int kHeads>
__global__ void __launch_bounds__(kThreads, kHeads > 4 || kHeadDim == 0 ? 2 : 3)
    k06_grouped(AttendOperands<KV> o) {
  constexpr int32_t kInFlight = kHeads > 4 ? 2 : 4;                    // keys that a group loads at once
  constexpr int32_t kVec = kLoadBytes / sizeof(KV);                    // elements per load
  constexpr int32_t kVecs = kHeadDim == 0 && sizeof(KV) == 4 ? 2 : 1;  // loads per lane for one row
  constexpr bool kAllRules = kHeadDim == 0;  // takes soft cap, ALiBi, sinks, and tables with places to skip
  const int32_t head_dim = kHeadDim == 0 ? o.head_dim : kHeadDim;
  const int32_t n_lanes = lanes_per_key(head_dim * static_cast<int32_t>(sizeof(KV)));
  const int32_t n_groups = kWarpSize / n_lanes;
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int32_t group = lane / n_lanes, part = lane % n_lanes;

  const int32_t n_kv_heads = o.layout.n_kv_heads, n_chunks = (o.group_size + kHeads - 1) / kHeads;
  const int64_t task = int64_t{blockIdx.x} * kWarps + warp;         // [n_tokens, n_kv_heads, n_chunks]
  if (task >= int64_t{o.n_tokens} * n_kv_heads * n_chunks) return;  // all lanes of the warp, or none
  const auto chunk = static_cast<int32_t>(task % n_chunks);
  const auto g = static_cast<int32_t>(task / n_chunks % n_kv_heads);
  const auto token = static_cast<int32_t>(task / n_chunks / n_kv_heads);
  const int32_t n_left = o.group_size - chunk * kHeads, n_heads = n_left < kHeads ? n_left : kHeads;
  const int64_t row0 = int64_t{token} * o.n_q_heads + g * o.group_size + chunk * kHeads;  // the row of head 0
  const int32_t sequence = o.g_seq_of_token.load(token);
  VisibleKeys keys = keys_of(o, sequence, token);
  if (!kAllRules) keys.sinks = 0;

  const auto dim = [&](int32_t v) { return (v * n_lanes + part) * kVec; };  // first d of the lane's v-th load
  float r_q[kHeads][kVecs][kVec] = {};    // [h][v][e] q[h, dim(v) + e]; 0 past head_dim
  float r_acc[kHeads][kVecs][kVec] = {};  // [h][v][e] Σ_s 2^(x_s − row_max) v[s, d] over the group's keys
  LASTROW_UNROLL
  for (int32_t h = 0; h < kHeads; ++h)
    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; e += 4) {
        if (h >= n_heads || dim(v) >= head_dim) continue;
        const auto q = o.g_q.template load_vec<4>((row0 + h) * head_dim + dim(v) + e);
        for (int32_t f = 0; f < 4; ++f) r_q[h][v][e + f] = q.x[f] * o.score.query_factor(kLog2E);
      }

  Softmax2 state[kHeads];  // of the group's keys
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

    LASTROW_UNROLL
    for (int32_t h = 0; h < kHeads; ++h) {
      if (h >= n_heads) continue;  // the same in all lanes
      float x[kInFlight], tile_max = kMinusInfinity;
      for (int32_t j = 0; j < kInFlight; ++j) {
        float sum = 0;
        for (int32_t v = 0; v < kVecs; ++v)
          for (int32_t e = 0; e < kVec; ++e) sum += r_q[h][v][e] * decode(r_k[j][v].x[e]);
        sum = sum_within(sum, n_lanes);  // every lane takes part, seen or not
        if (kAllRules && seen[j] && !o.score.only_scales())
          sum = finish_score(o, sequence, token, g * o.group_size + chunk * kHeads + h,
                             s0 + j * n_groups + group, sum, kLog2E);
        x[j] = seen[j] ? sum : kMinusInfinity;
        if (x[j] > tile_max) tile_max = x[j];
      }

      const float factor = state[h].raise(tile_max);
      for (int32_t v = 0; v < kVecs; ++v)
        for (int32_t e = 0; e < kVec; ++e) r_acc[h][v][e] *= factor;
      for (int32_t j = 0; j < kInFlight; ++j) {
        const float p = state[h].weigh(x[j]);
        for (int32_t v = 0; v < kVecs; ++v)
          for (int32_t e = 0; e < kVec; ++e) r_acc[h][v][e] += p * decode(r_v[j][v].x[e]);
      }
    }
  }

  LASTROW_UNROLL
  for (int32_t h = 0; h < kHeads; ++h) {
    if (h >= n_heads) continue;  // the same in all lanes
    // Merge the states of the groups; each group then holds the result.
    const float row_max = max_across(state[h].row_max, n_lanes);
    const float factor = Softmax2::rescale(state[h].row_max, row_max);
    const Softmax2 all{row_max, sum_across(state[h].row_sum * factor, n_lanes)};
    const float norm = all.row_sum == 0 ? 0 : 1 / all.row_sum;  // 0 where the query sees no key
    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; ++e) r_acc[h][v][e] = sum_across(r_acc[h][v][e] * factor, n_lanes) * norm;

    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; e += 4)
        if (group == 0 && dim(v) < head_dim)
          o.g_out.template store_vec<4>(
              (row0 + h) * head_dim + dim(v) + e,
              {r_acc[h][v][e], r_acc[h][v][e + 1], r_acc[h][v][e + 2], r_acc[h][v][e + 3]});
    if (lane == 0) o.g_lse.store(row0 + h, all.lse());
  }
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  const auto row_bytes = s.head_dim * static_cast<int32_t>(size_of(s.kv_dtype.k));
  return row_bytes % kLoadBytes == 0 ? "" : "it needs rows of K and V that are a multiple of 16 bytes";
}

int64_t scratch_elems(const gpu::AttendTask&) { return 0; }

template <typename KV, int kHeads>
void start_with(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  const int64_t n_tasks = int64_t{s.n_tokens} * s.n_kv_heads * ceil_div(s.group_size(), kHeads);
  const int32_t fixed_dim = gpu::has_rules(call) ? 0 : s.head_dim;
  const auto kernel = fixed_dim == 64    ? k06_grouped<KV, 64, kHeads>
                      : fixed_dim == 128 ? k06_grouped<KV, 128, kHeads>
                                         : k06_grouped<KV, 0, kHeads>;
  launch(Kernel{"k06_grouped", kernel}, {static_cast<uint32_t>(ceil_div(n_tasks, kWarps))}, {kThreads}, 0,
         stream, operands<KV>(call, scratch_elems(call.task)));
}

void start(const gpu::AttendCall& call, Stream stream) {
  if (call.task.shape.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(call.task.shape.kv_dtype, [&]<typename KV>(KV) {
    if (call.task.shape.group_size() <= 4)
      start_with<KV, 4>(call, stream);
    else
      start_with<KV, 8>(call, stream);
  });
}

}  // namespace

const Rung k06{.name = "k06",
               .parent = "k05",
               .idea = "K/V read once for all heads of a group",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
