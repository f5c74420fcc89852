// k07: the four warps of a block share a part of the keys, and merge their states before they write one.
//
// idea     a block writes one state for its part of the keys. In k07b each warp wrote one. So there are a quarter as
//          many partials to write, read and merge. If the splits keep their length, a warp has a quarter of the keys
// since    k07b: split_kv.h says which keys and heads a block takes, and merges its warps in shared memory at the
//          end. There is no shared memory and no barrier in the loop: each group of lanes keeps a state of its own.
//          Rows of any length, and chunks of 1, 4 or 8 heads
// grid     x (token t, split, chunk of query heads), y K/V head g. A chunk is ≤ 8 heads, or ≤ 4 where
//          head_dim is above 128 or a row is no multiple of 16 bytes. The chunks of a group are neighbours,
//          so the second finds in L2 what the first has read
// block    4 warps, which meet only at the end
// group    of lanes: one key row s
// lane     16 bytes of a row of K and of V (one element, where a row is no multiple of 16 bytes); the same d
//          of q and acc; the softmax of one head (lane_rows.h)
// sums     in float, with 2^x; one softmax update per tile of kRowsAhead keys per group
// merge    the groups of a block at the end; the splits in merge_splits.cu
// reads    each K and V byte once per chunk; each group has kRowsAhead rows of each in flight
// scratch  [n_tokens, n_q_heads, n_splits] states of head_dim + 2 floats; none with one split
// shared   one state for each of the 4 warps and each head of the chunk, at the end: at most 16.3 KiB
// takes    f32, bf16; any group; head_dim up to 256; decode and prefill
// measured 32:8×128 b1 kv4096 bf16: 12.3 µs, 35 % of read (k06: 1904.0 µs; H200, gpu/README.md)
// source   Dao et al. 2023, "Flash-Decoding for long-context inference"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"

namespace lastrow::LASTROW_TARGET {
namespace {

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<KV, kWidth, kHeads>)
    k07_block_parts(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    const int32_t skipped = skipped_at(o, part.sequence, part.begin);
    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      Packed<KV, kVec> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
      bool seen[kRowsAhead];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        const int32_t s = tile + j * Rows::kStride + Rows::row();
        seen[j] = s >= part.begin && s < part.end;
        int64_t row = 0;
        if (seen[j]) row = row_at(o, part.sequence, s + skipped, part.g) * o.head_dim;
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
      finish_scores<Rows::kStride>(o, part, part.first_head + Rows::template own_head<kHeads>(),
                                   tile + Rows::row(), r_x[0]);
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

constexpr gpu::SplitKind kKind = gpu::SplitKind::loads;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  return s.head_dim <= 256 ? "" : "it needs head_dim at most 256";
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  return split_scratch_elems<float, BFloat16>(task, kKind);
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<float, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      const SplitPlan plan = lane_plan<KV, kWidth, kHeads, kVec>(call.task, kKind, 0, call.spec.mask);
      launch(Kernel{"k07_block_parts", k07_block_parts<KV, kWidth, kHeads, kVec>},
             split_grid<kHeads>(s, plan), {kRowThreads}, 0, stream, operands<KV>(call, 0), plan,
             partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

const Rung k07{.name = "k07",
               .parent = "k07b",
               .idea = "the warps of a block share a part of the keys",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
