// k08: block ids are read one tile ahead, and no division is left in the loop.
//
// idea     a load whose address comes from another load waits for memory twice; so the block table is read
//          while the tile before is computed
// since    k07: block ids are in registers one tile ahead, and a cursor steps through the table where k07
//          divides twice per row. The places of the next tile are known, so its K is requested before V of
//          this tile is used: memory has work while a warp computes. Tiles, splits and every sum are those of
//          k07
// grid     as k07
// block    4 warps, which meet only at the end
// group    of lanes: one key row s
// lane     as k07; and the place of one row of its group's next tile (tile_places.h)
// sums     as k07
// merge    as k07
// reads    as k07; the table once per key, by kLanes / 4 lanes that read the same address
// scratch  as k07
// shared   as k07
// takes    f32, bf16; any group; head_dim up to 256; any block_len, because tiles do not depend on it; decode
//          and prefill
// measured 32:8×128 b32 kv4096 bf16 paged16: 143.6 µs; 32:8×128 b32 kv4096 bf16: 144.6 µs (H200, gpu/README.md)
// source   Kwon et al. 2023, "Efficient memory management for LLM serving with PagedAttention"
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"
#include "gpu/parts/tile_places.h"

namespace lastrow::LASTROW_TARGET {
namespace {

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<KV, kWidth, kHeads>)
    k08_paged(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    TilePlaces<Rows> places(o, part);
    int32_t r_row[kRowsAhead];
    Packed<KV, kVec> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
    const auto ask_for_k = [&] {
      places.take(o, part, r_row);
      for (int32_t j = 0; j < kRowsAhead; ++j)
        load_row<Rows, KV>(o.g_k, int64_t{r_row[j]} * o.head_dim, r_row[j] >= 0, o.head_dim, r_k[j]);
    };
    ask_for_k();
    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      for (int32_t j = 0; j < kRowsAhead; ++j)
        load_row<Rows, KV>(o.g_v, int64_t{r_row[j]} * o.head_dim, r_row[j] >= 0, o.head_dim, r_v[j]);

      float r_x[kHeads][kRowsAhead], r_wide[Rows::kElems];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        widen_row<Rows, KV>(r_k[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_wide);
      }
      sum_scores<Rows>(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] = r_row[j] >= 0 ? r_x[0][j] : kMinusInfinity;
      finish_scores<Rows::kStride>(o, part, part.first_head + Rows::template own_head<kHeads>(),
                                   tile + Rows::row(), r_x[0]);
      ask_for_k();  // K of the next tile
      state.take_scores(r_x);
      state.spread_weights(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        for (int32_t v = 0; v < Rows::kVecs; ++v) stay_narrow_until(r_x[0][0], r_v[j][v]);
        widen_row<Rows, KV>(r_v[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_wide);
      }
    }
  }
  finish<Rows>(o, plan, partials, part, state);
}

constexpr gpu::SplitKind kKind = gpu::SplitKind::loads;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f32 && s.kv_dtype != DType::bf16) return "it needs K/V in f32 or bf16";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  return too_many_rows(s);
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
      launch(Kernel{"k08_paged", k08_paged<KV, kWidth, kHeads, kVec>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, 0, stream, operands<KV>(call, 0), plan, partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

const Rung k08{.name = "k08",
               .parent = "k07",
               .idea = "block ids read one tile ahead",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
