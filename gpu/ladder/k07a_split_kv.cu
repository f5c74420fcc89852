// k07a: several warps share the keys of one query, and a second kernel merges their results.
//
// idea     one query makes too few warps to fill a GPU; softmax states can be merged, so any number of warps
//          can share a query
// since    k06: a warp takes only some tiles of the keys, and writes its state to scratch instead of out. The
//          loop is k06's; a chunk always has 8 heads
// grid     x (token t, split, K/V head g, chunk of ≤ 8 query heads), 4 per block
// block    4 warps, one (t, split, g, chunk) each, which share nothing
// group    of lanes, as in k05: one key's row
// lane     as k06
// sums     as k06
// merge    the groups of a warp as in k06; the splits in merge_splits.cu, which is launched while they run
// reads    as k06
// scratch  [n_tokens, n_q_heads, n_splits] states of head_dim + 2 floats; none with one split
// shared   none
// takes    what k06 takes, but no soft cap, ALiBi or sinks: the loop stays short, and k07 takes them
// measured not yet. At batch 1 the time should hardly grow with kv_len until all multiprocessors are busy; k06's time
//          grows from the first key on
// source   Dao et al. 2023, "Flash-Decoding for long-context inference"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/lane_groups.h"
#include "gpu/parts/softmax2.h"
#include "gpu/parts/split_kv.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = 4, kThreads = kWarps * kWarpSize;
constexpr int32_t kHeads = 8, kBlocks = 2;  // of a chunk; at once on a multiprocessor

struct SplitTile {
  static constexpr int32_t kTileKeys = kWarpSize;  // splits are counted in so many keys
};

/// kHeadDim 0: head_dim is known only at the launch.
template <typename KV, int kHeadDim>
__global__ void __launch_bounds__(kThreads, kBlocks)
    k07a_split_kv(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  constexpr int32_t kInFlight = 2;                                     // keys that a group loads at once
  constexpr int32_t kVec = kLoadBytes / sizeof(KV);                    // elements per load
  constexpr int32_t kVecs = kHeadDim == 0 && sizeof(KV) == 4 ? 2 : 1;  // loads per lane for one row
  const int32_t head_dim = kHeadDim == 0 ? o.head_dim : kHeadDim;
  const int32_t n_lanes = lanes_per_key(head_dim * static_cast<int32_t>(sizeof(KV)));
  const int32_t n_groups = kWarpSize / n_lanes;
  const int32_t warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  const int32_t group = lane / n_lanes, part = lane % n_lanes;

  const int32_t n_kv_heads = o.layout.n_kv_heads, n_chunks = (o.group_size + kHeads - 1) / kHeads;
  const int64_t task = int64_t{blockIdx.x} * kWarps + warp;  // [n_tokens, n_splits, n_kv_heads, n_chunks]
  if (task >= int64_t{o.n_tokens} * plan.n_splits * n_kv_heads * n_chunks) return;  // all lanes, or none
  const auto chunk = static_cast<int32_t>(task % n_chunks);
  const auto g = static_cast<int32_t>(task / n_chunks % n_kv_heads);
  const auto split = static_cast<int32_t>(task / n_chunks / n_kv_heads % plan.n_splits);
  const auto token = static_cast<int32_t>(task / n_chunks / n_kv_heads / plan.n_splits);
  const int32_t n_left = o.group_size - chunk * kHeads, n_heads = n_left < kHeads ? n_left : kHeads;
  const int64_t row0 = int64_t{token} * o.n_q_heads + g * o.group_size + chunk * kHeads;  // the row of head 0
  const int32_t sequence = o.g_seq_of_token.load(token);
  KeyRange keys = keys_of(o, sequence, token).range(1);
  const int32_t split_len = plan.tiles_per_split * SplitTile::kTileKeys;
  const int32_t first = keys.begin / SplitTile::kTileKeys * SplitTile::kTileKeys + split * split_len;
  keys = {first > keys.begin ? first : keys.begin,
          first + split_len < keys.end ? first + split_len : keys.end};

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
  for (int32_t s0 = keys.begin / tile * tile; s0 < keys.end; s0 += tile) {
    Vec<KV, kVec> r_k[kInFlight][kVecs] = {}, r_v[kInFlight][kVecs] = {};  // zeros where no key is seen
    bool seen[kInFlight];
    for (int32_t j = 0; j < kInFlight; ++j) {
      const int32_t s = s0 + j * n_groups + group;
      seen[j] = s >= keys.begin && s < keys.end;
      if (!seen[j]) continue;
      const int64_t kv = row_offset(o.layout, slot_at(o, sequence, s), g);
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

  const Global<float> g_acc = plan.n_splits == 1 ? o.g_out : partials.g_acc;
  LASTROW_UNROLL
  for (int32_t h = 0; h < kHeads; ++h) {
    if (h >= n_heads) continue;  // the same in all lanes
    // Merge the states of the groups; each group then holds the result.
    const float row_max = max_across(state[h].row_max, n_lanes);
    const float factor = Softmax2::rescale(state[h].row_max, row_max);
    const SoftmaxState<float> all{row_max * kLn2, sum_across(state[h].row_sum * factor, n_lanes)};
    const float norm = norm_of(plan, all);
    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; ++e) r_acc[h][v][e] = sum_across(r_acc[h][v][e] * factor, n_lanes) * norm;

    const int64_t to = (row0 + h) * plan.n_splits + split;
    for (int32_t v = 0; v < kVecs; ++v)
      for (int32_t e = 0; e < kVec; e += 4)
        if (group == 0 && dim(v) < head_dim)
          g_acc.template store_vec<4>(to * head_dim + dim(v) + e, {r_acc[h][v][e], r_acc[h][v][e + 1],
                                                                   r_acc[h][v][e + 2], r_acc[h][v][e + 3]});
    if (lane == 0) store_state(o, plan, partials, row0 + h, split, all);
  }
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  if (const std::string why_not = s.beyond_a_scale_and_a_window(); !why_not.empty()) return why_not;
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  const auto row_bytes = s.head_dim * static_cast<int32_t>(size_of(s.kv_dtype.k));
  return row_bytes % kLoadBytes == 0 ? "" : "it needs rows of K and V that are a multiple of 16 bytes";
}

constexpr SplitKernel kKernel{gpu::SplitKind::loads, kBlocks* kWarps};  // its unit is a warp, not a block

int64_t scratch_elems(const gpu::AttendTask& task) {
  return partial_elems(task.shape, plan_of<SplitTile, kHeads>(task, kKernel));
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    const SplitPlan plan = plan_of<SplitTile, kHeads>(call.task, kKernel, call.spec.mask);
    const int64_t n_tasks =
        int64_t{s.n_tokens} * plan.n_splits * s.n_kv_heads * ceil_div(s.group_size(), kHeads);
    const auto kernel = s.head_dim == 64    ? k07a_split_kv<KV, 64>
                        : s.head_dim == 128 ? k07a_split_kv<KV, 128>
                                            : k07a_split_kv<KV, 0>;
    launch(Kernel{"k07a_split_kv", kernel}, {static_cast<uint32_t>(ceil_div(n_tasks, kWarps))}, {kThreads}, 0,
           stream, operands<KV>(call, 0), plan, partials_in(call, plan));
    merge_splits(call, plan, stream);
  });
}

}  // namespace

const Rung k07a{.name = "k07a",
                .parent = "k06",
                .idea = "keys split over warps, then merged",
                .supports_one_type = supports,
                .scratch_elems = scratch_elems,
                .launch = start};

}  // namespace lastrow::LASTROW_TARGET
