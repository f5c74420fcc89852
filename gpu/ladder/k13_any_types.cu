// k13: K and V are each stored in any type, also in 4 bits.
//
// idea     the types are numbers that the kernel reads, not parts of its name. K is loaded and widened by one
//          switch per tile, and V by another, so seven types make 49 pairs but not 49 kernels
// since    k09: a lane has eight elements of a row in every type (any_rows.h), and multiplies them by their
//          scale. In 4 bits a row has a scale for each 32 elements, so a score has no single scale
//          K with a scale for each channel is widened while it is loaded (channel_rows.h), in a kernel of its own
// headers  It opens 13 headers: those of k09, any_rows.h, and two for K with scales for channels.
// grid     as k09 with 8 bits
// block    as k09
// group    as k09
// lane     8 elements of a row; a group has 8, 16 or 32 lanes
// sums     as k08
// merge    as k09
// reads    the bytes of K and V, and their scales. In 4 bits a lane reads only 4 bytes of a row
// scratch  as k09
// shared   as k09
// takes    every pair of f32, f16, bf16, fp8 (e4m3), int8, int4 and fp4, and for K also int8-channel; any group;
//          head_dim that is a multiple of 8, up to 256; any block_len; decode and prefill
// measured not yet. With 8 bits or less it should take more time than its bytes: loads of 4 and 8 bytes keep fewer
//          bytes in flight than k09's of 16, and elements are widened by several instructions each
// source   Open Compute Project 2023, "Microscaling Formats (MX) Specification"; cache/kv_groups.h says what is
//          stored
#include "gpu/ladder/ladder.h"
#include "gpu/parts/channel_rows.h"
#include "gpu/parts/split_kv.h"
#include "gpu/parts/tile_places.h"

namespace lastrow::LASTROW_TARGET {
namespace {

/// The room that rows take in registers is planned as for 8-bit rows of k09.
template <int32_t kWidth, int32_t kHeads>
constexpr int32_t kBlocks = kBlocksAtOnce<int8_t, kWidth, kHeads>;

/// KRows: AnyRows, or ChannelRows.
template <int32_t kWidth, int32_t kHeads, typename KRows>
__global__ void __launch_bounds__(kRowThreads, kBlocks<kWidth, kHeads>)
    k13_any_types(AttendOperands<float> o, KRows k, AnyRows v, SplitPlan plan, Partials partials) {
  using Rows = LaneRows<kWidth, kAnyElems>;
  const Part part = part_of<Rows, kHeads>(o, plan);
  GroupState<Rows, kHeads> state;

  if (part.begin < part.end) {
    float r_q[kHeads][Rows::kElems];
    load_query<Rows>(o, part.token, part.first_head, part.n_heads, r_q);

    TilePlaces<Rows> places(o, part);
    int32_t r_row[kRowsAhead];
    AnyElems r_k[kRowsAhead], r_v[kRowsAhead];
    const int32_t d = Rows::dim(0);
    const auto ask_for_k = [&] {
      places.take(o, part, r_row);
      load_rows(k, r_row, d, r_k);
    };
    ask_for_k();
    for (int32_t tile = part.first_tile; tile < part.end; tile += Rows::kTileKeys) {
      load_rows(v, r_row, d, r_v);

      float r_x[kHeads][kRowsAhead], r_wide[Rows::kElems];
      with_row_type(k.dtype, [&]<typename K>(K) {
        for (int32_t j = 0; j < kRowsAhead; ++j) {
          widen<K>(r_k[j], r_wide);
          for (int32_t h = 0; h < kHeads; ++h) r_x[h][j] = dot<Rows>(r_q[h], r_wide);
        }
      });
      sum_scores<Rows>(r_x);
      for (int32_t j = 0; j < kRowsAhead; ++j) r_x[0][j] = r_row[j] >= 0 ? r_x[0][j] : kMinusInfinity;
      finish_scores<Rows::kStride>(o, part, part.first_head + Rows::template own_head<kHeads>(),
                                   tile + Rows::row(), r_x[0]);
      ask_for_k();  // K of the next tile
      state.take_scores(r_x);
      state.spread_weights(r_x);
      with_row_type(v.dtype, [&]<typename V>(V) {
        for (int32_t j = 0; j < kRowsAhead; ++j) {
          widen<V>(r_v[j], r_wide);
          for (int32_t h = 0; h < kHeads; ++h) state.add_row(h, r_x[h][j], r_wide);
        }
      });
    }
  }
  finish<Rows>(o, plan, partials, part, state);
}

constexpr gpu::SplitKind kKind = gpu::SplitKind::loads;

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.head_dim % kAnyElems != 0) return "it needs head_dim that is a multiple of 8";
  if (s.head_dim > 256) return "it needs head_dim at most 256";
  return too_many_rows(s);
}

/// Calls f.operator()<kWidth, kHeads>() with the constants for the shape.
template <typename F>
auto with_shape(const gpu::AttendShape& s, const F& f) {
  if (s.head_dim > 128) return f.template operator()<256, 4>();
  if (s.head_dim > 64)
    return s.group_size() == 1 ? f.template operator()<128, 1>() : f.template operator()<128, 4>();
  return s.group_size() == 1 ? f.template operator()<64, 1>() : f.template operator()<64, 4>();
}

template <int32_t kWidth, int32_t kHeads>
SplitPlan plan_for(const gpu::AttendTask& task, MaskRule mask = {}) {
  return plan_of<LaneRows<kWidth, kAnyElems>, kHeads>(task, {kKind, kBlocks<kWidth, kHeads>}, mask);
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  return with_shape(task.shape, [&]<int32_t kWidth, int32_t kHeads>() {
    return partial_elems(task.shape, plan_for<kWidth, kHeads>(task));
  });
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  AttendOperands<float> o = operands<float>(call, 0);
  o.g_k = o.g_v = {};  // these are AnyRows
  with_shape(s, [&]<int32_t kWidth, int32_t kHeads>() {
    const SplitPlan plan = plan_for<kWidth, kHeads>(call.task, call.spec.mask);
    const auto start_with = [&]<typename KRows>(const KRows& k) {
      launch(Kernel{"k13_any_types", k13_any_types<kWidth, kHeads, KRows>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, 0, stream, o, k, any_rows(call, RowKind::v), plan, partials_in(call, plan));
    };
    if (has_channel_scales(s.kv_dtype.k))
      start_with(channel_rows(call));
    else
      start_with(any_rows(call, RowKind::k));
    merge_splits(call, plan, stream);
  });
}

}  // namespace

const Rung k13{.name = "k13",
               .parent = "k09",
               .idea = "K and V of any two types",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start,
               .takes_pairs = true};

}  // namespace lastrow::LASTROW_TARGET
