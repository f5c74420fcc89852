// k07: the keys of a sequence are shared out over blocks, and a second kernel merges what they found.
//
// idea     one query is too few blocks for a GPU; softmax states merge, so any number of blocks can share it
// since    k06: a block takes some tiles of the keys, not all; its state goes to scratch instead of out.
//          No shared memory and no barrier within the loop: a group of lanes keeps a state of its own
// grid     x (token t, split), y (K/V head g, chunk of its query heads): ≤ 8, or ≤ 4 where head_dim is
//          above 128 or 16-byte loads do not divide a row
// block    4 warps, which meet at the end only
// group    of lanes: one key row s
// lane     16 bytes of a row of K and of V (an element, where 16 do not divide it); the same d of q
//          and acc; the softmax of one head (lane_rows.h)
// sums     in float, 2^x; one softmax update a tile of kRowsAhead keys a group
// merge    of a block's groups at the end; of splits by k07_merge: a warp a row (t, h), lanes over d
// reads    each K and V byte once per chunk; kRowsAhead rows of each in flight for every group
// scratch  [n_splits, n_tokens, n_q_heads] states of head_dim + 2 floats; none with one split
// shared   a state for each of 4 warps and the chunk's heads, at the end: at most 16.3 KiB
// takes    f32, bf16; any group; head_dim up to 256; decode and prefill
// expects  at batch 1 a time that hardly grows with kv_len until all multiprocessors are busy; k06's grows
//          from the first key on. Not measured yet
// source   Dao et al. 2023, "Flash-Decoding for long-context inference"
#include "gpu/kernels/ladder.h"
#include "gpu/kernels/split_kv.h"

namespace lastrow::LASTROW_TARGET {
namespace {

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<kHeads>)
    k07_split_kv(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      Packed<KV, kVec> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
      bool seen[kRowsAhead];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        const int32_t s = tile + j * Rows::kStride + Rows::row();
        seen[j] = s >= part.begin && s < part.end;
        int64_t row = 0;
        if (seen[j]) row = row_at(o, part.sequence, s, part.g) * o.head_dim;
        load_row<Rows, KV>(o.g_k, row, seen[j], o.head_dim, r_k[j]);
        load_row<Rows, KV>(o.g_v, row, seen[j], o.head_dim, r_v[j]);
      }

      float r_x[kHeads][kRowsAhead], r_row[Rows::kElems];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        widen_row<Rows, KV>(r_k[j], r_row);
        for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_row);
      }
      sum_scores<Rows>(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] = seen[j] ? r_x[0][j] : kMinusInfinity;
      state.take_scores(r_x);
      state.spread_weights(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        for (int32_t v = 0; v < Rows::kVecs; ++v) stay_narrow_until(r_x[0][0], r_v[j][v]);
        widen_row<Rows, KV>(r_v[j], r_row);
        for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_row);
      }
    }
  }
  finish<Rows>(o, plan, partials, part, state);
}

/// out and lse of row (t, h), from n_splits states taken in order.
__global__ void __launch_bounds__(kRowThreads)
    k07_merge(Partials partials, Global<float> g_out, Global<float> g_lse, int64_t n_rows, int32_t head_dim,
              int32_t n_splits) {
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int64_t row = int64_t{blockIdx.x} * (kRowThreads / kWarpSize) + thread / kWarpSize;
  if (row >= n_rows) return;
  for (int32_t d = thread % kWarpSize; d < head_dim; d += kWarpSize) {
    SoftmaxState<float> softmax;
    float acc = 0;
    for (int32_t i = 0; i < n_splits; ++i) {
      const int64_t partial = i * n_rows + row;
      const auto f = softmax.merge({partials.g_row_max.load(partial), partials.g_row_sum.load(partial)});
      acc = acc * f.self + partials.g_acc.load(partial * head_dim + d) * f.other;
    }
    g_out.store(row * head_dim + d, softmax.row_sum == 0 ? 0.0f : acc / softmax.row_sum);
    if (d == 0) g_lse.store(row, softmax.lse());
  }
}

std::string supports(const gpu::AttendShape& s) {
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "K/V are f32 or bf16";
  return s.head_dim <= 256 ? "" : "head_dim is at most 256";
}

int64_t scratch_elems(const gpu::AttendShape& s) { return split_scratch_elems<float, BFloat16>(s); }

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      const SplitPlan plan = plan_of<LaneRows<kWidth, kVec>, kHeads>(s, 0, call.spec.mask.window);
      launch(Kernel{"k07_split_kv", k07_split_kv<KV, kWidth, kHeads, kVec>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, 0, stream, operands<KV>(call, 0), plan, partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

void merge_splits(const gpu::AttendCall& call, SplitPlan plan, Stream stream) {
  if (plan.n_splits == 1) return;
  const gpu::AttendShape& s = call.shape;
  const int64_t n_rows = int64_t{s.n_tokens} * s.n_q_heads;
  launch(Kernel{"k07_merge", k07_merge}, {static_cast<uint32_t>(ceil_div(n_rows, kRowThreads / kWarpSize))},
         {kRowThreads}, 0, stream, partials_in(call, plan),
         Global<float>{call.out, n_rows * s.head_dim, "g_out"}, Global<float>{call.lse, n_rows, "g_lse"},
         n_rows, s.head_dim, plan.n_splits);
}

const Rung k07{"k07", "keys split over blocks, then merged", supports, scratch_elems, start};

}  // namespace lastrow::LASTROW_TARGET
