// k09: K and V are stored in 16 or 8 bits and widened in registers.
//
// idea     decode is limited by the bytes that it reads. With half or a quarter of the bytes it should take half or
//          a quarter of the time
// since    k08: a 16-byte load holds 8 or 16 elements, which are widened one word at a time (convert.h)
// grid     as k07; with 8-bit elements a chunk is ≤ 4 heads, because a lane that holds 16 elements of a row
//          has registers for 4 heads
// block    4 warps, which meet only at the end
// group    of lanes: one key row s
// lane     as k08
// sums     as k07. int8: the score is multiplied by the scale of the K row, and p by the scale of the V row,
//          once per row and head; elements are never multiplied by a scale
// merge    as k07
// reads    as k08, and for int8 a scale of 4 bytes for each row of K and of V. With 8-bit elements
//          ⌈group / 4⌉ blocks that run side by side request the same bytes
// scratch  as k07
// shared   as k07
// takes    f16, bf16, fp8 (e4m3), int8, and K in int8 with V in fp8; any group; head_dim up to 256; any
//          block_len; decode and prefill
// measured 32:8×128 b32 kv4096 i8: 124.5 µs, 57 % of read; 32:8×128 b32 kv4096 fp8: 110.3 µs, 62 % of read; 32:8×128
//          b32 kv4096 bf16: 142.8 µs, 96 % of read (H200, gpu/README.md). Half of the bytes save so little because the
//          products of 4 heads take as long as the bytes (README, "What the machine code allows"). Above 4, each chunk
//          of 4 heads computes on all keys again; there k11 fits better. K int8 with V fp8: not measured
// source   Micikevicius et al. 2022, "FP8 formats for deep learning"; cache/kv_codec.h says what is stored
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"
#include "gpu/parts/tile_places.h"

namespace lastrow::LASTROW_TARGET {
namespace {

/// The scale of a row, counted through [n_blocks, n_kv_heads, block_len]; 1 if the type has no scales.
template <typename KV>
__device__ inline float load_scale(const Global<const float>& g_scales, int32_t row) {
  if constexpr (scale_bytes(dtype_of<KV>) == 0)
    return 1.0f;
  else
    return row >= 0 ? g_scales.load(row) : 0.0f;
}

/// The pair that is worth a kernel of its own: K in int8, V in fp8. Every other pair is for k13.
using Int8AndFp8 = TypePair<int8_t, Fp8E4M3>;

template <typename KV, int32_t kWidth, int32_t kHeads, int32_t kVec>
__global__ void __launch_bounds__(kRowThreads, kBlocksAtOnce<KV, kWidth, kHeads>)
    k09_quantised(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kVec>;
  using K = KeyOf<KV>;
  using V = ValueOf<KV>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    TilePlaces<Rows> places(o, part);
    int32_t r_row[kRowsAhead];
    Packed<K, kVec> r_k[kRowsAhead][Rows::kVecs];
    Packed<V, kVec> r_v[kRowsAhead][Rows::kVecs];
    float r_k_scale[kRowsAhead], r_v_scale[kRowsAhead];
    const auto ask_for_k = [&] {
      places.take(o, part, r_row);
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        load_row<Rows, K>(o.g_k, int64_t{r_row[j]} * o.head_dim, r_row[j] >= 0, o.head_dim, r_k[j]);
        r_k_scale[j] = load_scale<K>(o.g_k_scales, r_row[j]);
      }
    };
    ask_for_k();
    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        load_row<Rows, V>(o.g_v, int64_t{r_row[j]} * o.head_dim, r_row[j] >= 0, o.head_dim, r_v[j]);
        r_v_scale[j] = load_scale<V>(o.g_v_scales, r_row[j]);
      }

      float r_x[kHeads][kRowsAhead], r_wide[Rows::kElems];
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        widen_row<Rows, K>(r_k[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_wide);
      }
      sum_scores<Rows>(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j)
        r_x[0][j] = r_row[j] >= 0 ? r_x[0][j] * r_k_scale[j] : kMinusInfinity;
      finish_scores<Rows::kStride>(o, part, part.first_head + Rows::template own_head<kHeads>(),
                                   tile + Rows::row(), r_x[0]);
      ask_for_k();  // K of the next tile
      state.take_scores(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] *= r_v_scale[j];
      state.spread_weights(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) {
        for (int32_t v = 0; v < Rows::kVecs; ++v) stay_narrow_until(r_x[0][0], r_v[j][v]);
        widen_row<Rows, V>(r_v[j], r_wide);
        for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_wide);
      }
    }
  }
  finish<Rows>(o, plan, partials, part, state);
}

constexpr gpu::SplitKind kKind = gpu::SplitKind::loads;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  const bool is_pair = s.kv_dtype == kv_dtypes_of<Int8AndFp8>;
  if (!is_pair && (!has_plain_types(s) || s.kv_dtype == DType::f32))
    return "it needs K/V in f16, bf16, fp8 or int8, or K in int8 and V in fp8";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  return too_many_rows(s);
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  return split_scratch_elems<Half, BFloat16, Fp8E4M3, int8_t, Int8AndFp8>(task, kKind);
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<Half, BFloat16, Fp8E4M3, int8_t, Int8AndFp8>(s.kv_dtype, [&]<typename KV>(KV) {
    with_lane_shape<KV>(s, [&]<int32_t kWidth, int32_t kHeads, int32_t kVec>() {
      const SplitPlan plan = lane_plan<KV, kWidth, kHeads, kVec>(call.task, kKind, 0, call.spec.mask);
      launch(Kernel{"k09_quantised", k09_quantised<KV, kWidth, kHeads, kVec>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, 0, stream, operands<KV>(call, 0), plan, partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

const Rung k09{.name = "k09",
               .parent = "k08",
               .idea = "narrow K/V, widened in registers",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start,
               .takes_pairs = true};

}  // namespace lastrow::LASTROW_TARGET
