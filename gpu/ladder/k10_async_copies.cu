// k10: asynchronous copies bring K and V to shared memory, several tiles ahead.
//
// idea     a load occupies its registers until it arrives, so registers limit the bytes in flight; an
//          asynchronous copy to shared memory occupies none
// since    k09: K and V of a tile are requested kStages tiles before they are computed. Each lane copies just
//          the 16 bytes that it will read itself, so it waits only for its own copies: there is still no
//          barrier in the loop
// headers  It opens 11 headers: those of k09, and the copies.
// grid     as k07
// block    4 warps, which meet only at the end
// group    of lanes: one key row s
// lane     as k08
// sums     as k07
// merge    as k07
// reads    as k08; kStages tiles are requested, and one of them is computed
// scratch  as k07
// shared   kStages · kRowsAhead rows of K and of V for each group: 64 KiB; and as k07
// takes    f16, bf16; any group; head_dim a multiple of 8 up to 256; any block_len; decode and prefill. sm_80
//          and later
// measured 64:8×128 b32 kv4096 bf16: 155.6 µs, 88 % of read (k09: 201.5 µs), because groups of 8 leave k09 few warps;
//          32:8×128 b32 kv4096 bf16: 137.2 µs (k09: 142.8 µs); 32:8×128 b1 kv4096 bf16: 12.4 µs (k09: 10.4 µs), because
//          the stages take longer to fill (H200, gpu/README.md). 96 KiB per multiprocessor are in flight, or more,
//          where k09 has 28 to 64. In the emulator a copy arrives when it is waited for
// source   PTX ISA, "Data Movement and Conversion Instructions: cp.async" (async_copy.h)
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"
#include "gpu/parts/tile_places.h"
#include "gpu/target/async_copy.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kStages = 4;

/// Bytes of shared memory for K and V: 16 bytes per lane and row.
template <typename Rows>
constexpr int64_t kStagedBytes = int64_t{2} * kStages* kRowsAhead* Rows::kVecs* kRowThreads * 16;

/// The bytes that the split plan is made for. They are the same for every shape. The states beside them (at
/// most 17 KiB) do not lower the number of blocks that run at once.
constexpr int64_t kPlannedBytes = kStagedBytes<LaneRows<64, 8>>;
static_assert(kPlannedBytes == kStagedBytes<LaneRows<256, 8>>);

/// Where this lane's 16 bytes (vector v of the group's row j) lie in s_k and s_v. Neighbouring lanes have
/// neighbouring places.
template <typename Rows>
__device__ inline int64_t staged(int32_t stage, int32_t j, int32_t v) {
  const int32_t row = (stage * kRowsAhead + j) * Rows::kVecs + v;
  return (int64_t{row} * kRowThreads + threadIdx.x) * Rows::kLoad;
}

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<KV, kWidth, kHeads>)
    k10_async_copies(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;
  constexpr int64_t kStaged = kStagedBytes<Rows> / 2 / sizeof(KV);
  DynamicShared shared;
  const auto s_k = shared.take<KV>(kStaged, "s_k");  // [kStages, kRowsAhead, kVecs, thread, kVec]
  const auto s_v = shared.take<KV>(kStaged, "s_v");  // the same

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    TilePlaces<Rows> places(o, part);
    AsyncCopies copies;
    // Requests the rows of the next tile, and the places of the tile after it.
    const auto request = [&](int32_t stage) {
      int32_t r_row[kRowsAhead];
      places.take(o, part, r_row);
      for (int32_t j = 0; j < kRowsAhead; ++j)
        for (int32_t v = 0; v < Rows::kVecs; ++v) {
          const bool wanted = r_row[j] >= 0 && Rows::dim(v) < o.head_dim;
          const int64_t from = int64_t{r_row[j]} * o.head_dim + Rows::dim(v);
          copies.copy<kVec>(s_k, staged<Rows>(stage, j, v), o.g_k, from, wanted);
          copies.copy<kVec>(s_v, staged<Rows>(stage, j, v), o.g_v, from, wanted);
        }
      copies.close_group();  // past the end the group reads nothing, but wait() still counts it
    };
    for (int32_t stage = 0; stage < kStages; ++stage) request(stage);

    int32_t stage = 0;
    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      copies.wait<kStages - 1>();
      Packed<KV, kVec> r_k[kRowsAhead][Rows::kVecs], r_v[kRowsAhead][Rows::kVecs];
      bool seen[kRowsAhead];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        const int32_t s = tile + j * Rows::kStride + Rows::row();
        seen[j] = s >= part.begin && s < part.end;
        for (int32_t v = 0; v < Rows::kVecs; ++v) {
          r_k[j][v] = pack(s_k.template load_vec<kVec>(staged<Rows>(stage, j, v)));
          r_v[j][v] = pack(s_v.template load_vec<kVec>(staged<Rows>(stage, j, v)));
        }
      }

      float r_x[kHeads][kRowsAhead], r_wide[Rows::kElems];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        widen_row<Rows, KV>(r_k[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_wide);
      }
      sum_scores<Rows>(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] = seen[j] ? r_x[0][j] : kMinusInfinity;
      finish_scores<Rows::kStride>(o, part, part.first_head + Rows::template own_head<kHeads>(),
                                   tile + Rows::row(), r_x[0]);
      state.take_scores(r_x);
      state.spread_weights(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        widen_row<Rows, KV>(r_v[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_wide);
      }
      request(stage);  // the rows of this stage have been used
      stage = stage + 1 < kStages ? stage + 1 : 0;
    }
  }
  finish<Rows>(o, plan, partials, part, state);
}

constexpr gpu::SplitKind kKind = gpu::SplitKind::copies;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::f16 && s.kv_dtype != DType::bf16) return "it needs K/V in f16 or bf16";
  if (s.head_dim % 8 != 0) return "it needs head_dim to be a multiple of 8, as it copies 16 bytes";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  return too_many_rows(s);
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  return split_scratch_elems<Half, BFloat16>(task, kKind, kPlannedBytes);
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<Half, BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      if constexpr (kVec * sizeof(KV) == 16) {
        const SplitPlan plan =
            lane_plan<KV, kWidth, kHeads, kVec>(call.task, kKind, kPlannedBytes, call.spec.mask);
        launch(Kernel{"k10_async_copies", k10_async_copies<KV, kWidth, kHeads, kVec>},
               split_grid<kHeads>(s, plan), {kRowThreads}, kStagedBytes<LaneRows<kWidth, kVec>>, stream,
               operands<KV>(call, 0), plan, partials_in(call, plan));
        merge_splits(call, plan, stream);
      }
    });
  });
}

}  // namespace

const Rung k10{.name = "k10",
               .parent = "k09",
               .idea = "asynchronous copies, four stages",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
