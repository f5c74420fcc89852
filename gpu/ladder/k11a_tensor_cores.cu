// k11a: tensor cores do both products of decode; the query heads of a group are the rows of a matrix.
//
// idea     16 query heads of one K/V head form a matrix: one instruction multiplies what k10 multiplies head
//          by head, so a group costs what one head costs
// since    k10: a warp multiplies 16 keys of a tile by 16 heads with mma.sync (warp_rows.h); in k10 a group of
//          lanes multiplied and shuffled. Each warp copies its own keys (warp_copies.h), so there is still no
//          barrier in the loop
// rewrite  Half of the lines of k10 change: a lane holds other elements than in k10, so each line
//          that names them changes.
// headers  It opens 15 headers, because products of matrices need the layouts of both instructions and of shared
//          memory.
// grid     x (token t, split, chunk of ≤ 16 query heads), y K/V head g, as k07
// block    4 warps, which meet at the end; each takes 16 consecutive keys s of every 64
// group    none: a warp has 16 rows, which are the heads of the chunk, then zeros
// lane     for copies 16 bytes of a row of K and of V; for products two heads × two of 8 keys, or two of 8 d
//          (tensor_cores.h)
// sums     in float, with 2^x; one softmax update per 16 keys. q and p are rounded to bf16, as is usual
// merge    the warps of a block at the end, 16 dims at a time; the splits as k07
// reads    each K and V byte once per chunk; kStages tiles in flight; the table once per key, by two lanes
// scratch  as k07
// shared   kStages · 64 rows of K and of V; at head_dim 128 this is 96 KiB; and at most 5 KiB for the merge
// takes    bf16, with n_parts 1 (it rounds); any group; head_dim a multiple of 8 up to 128, computed as 64 or 128;
//          any block_len; decode and prefill. sm_80 and later. No soft cap or ALiBi: k11 takes them
// measured not yet. It should take k10's time for groups of up to 4, where multiply-adds keep up with memory, and the
//          same time for 16 heads, where k10 takes longer
// source   Ainslie et al. 2023, "GQA", for the group; tensor_cores.h, async_copy.h
#include "gpu/ladder/ladder.h"
#include "gpu/parts/split_kv.h"
#include "gpu/parts/warp_rows.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kWarps = kRowThreads / kWarpSize, kHeads = 16, kStages = 3;

/// Blocks that the registers of a multiprocessor have room for. The kernel is compiled for this number, and
/// its splits are planned for it.
template <int32_t kWidth>
constexpr int32_t kDecodeBlocks = kWidth == 64 ? 3 : 2;

struct DecodeTile {
  static constexpr int32_t kTileKeys = kWarps * kWarpKeys;
};
/// Elements of K in shared memory; V has as many.
template <int32_t kWidth>
constexpr int64_t kStagedElems = int64_t{kStages} * DecodeTile::kTileKeys* kWidth;
template <typename KV, int32_t kWidth>
constexpr int64_t kSharedBytes = 2 * kStagedElems<kWidth>* int64_t{sizeof(KV)};

/// Merges the warps' states, 16 dims at a time, then writes the block's output or its partial.
template <typename Rows, typename KV>
__device__ inline void finish(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                              const Part& part, Rows& rows) {
  constexpr int32_t kDims = 16;
  LASTROW_SHARED(float, s_acc, kWarps* kHeads* kDims);  // [warp, h, 16 of d]
  LASTROW_SHARED(float, s_row_max, kWarps* kHeads);     // [warp, h], then factors
  LASTROW_SHARED(float, s_row_sum, kWarps* kHeads);     // [warp, h]
  const auto thread = static_cast<int32_t>(threadIdx.x), warp = thread / kWarpSize;

  // In every other pair of rows, two halves of 8 d change places. So the lanes of one store write to different
  // banks.
  const auto at = [](int32_t row, int32_t d) { return row * kDims + (d ^ (row & 2) * 4); };
  let_next_begin();  // merge_partials, if there are splits: it waits until this kernel has ended
  rows.finish();
  for (int32_t i = 0; i < 2; ++i)
    if (rows.column() == 0) {
      s_row_max.store(warp * kHeads + rows.row() + 8 * i, rows.softmax[i].row_max * kLn2);
      s_row_sum.store(warp * kHeads + rows.row() + 8 * i, rows.softmax[i].row_sum);
    }
  __syncthreads();  // each warp's maxima and sums are written before they are read
  merge_warps<kHeads>(o, plan, partials, part, s_row_max, s_row_sum);
  LASTROW_UNROLL
  for (int32_t d0 = 0; d0 < 16 * Rows::kSteps; d0 += kDims) {
    if (d0 >= o.head_dim) break;  // the whole block
    if (d0 > 0) __syncthreads();  // the last 16 dims have been read before these are written
    for (int32_t e = 0; e < 2; ++e)
      for (int32_t i = 0; i < 2; ++i)
        s_acc.template store_vec<2>(at(warp * kHeads + rows.row() + 8 * i, rows.dim(0, e)),
                                    rows.acc_pair(i, d0 / kDims, e));
    __syncthreads();  // acc of each warp, and the factors, are written before all threads read them
    for (int32_t x = thread; x < part.n_heads * kDims; x += kRowThreads) {
      const int32_t h = x / kDims, d = x % kDims;
      if (d0 + d >= o.head_dim) continue;
      float acc = 0;
      for (int32_t w = 0; w < kWarps; ++w) {
        const int32_t row = w * kHeads + h;
        acc += s_row_max.load(row) * s_acc.load(at(row, d));
      }
      store_element(o, plan, partials, part, h, d0 + d, acc);
    }
  }
}

template <typename KV, int32_t kWidth>
__global__ void __launch_bounds__(kRowThreads, kDecodeBlocks<kWidth>)
    k11a_tensor_cores(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  constexpr int32_t kTileKeys = DecodeTile::kTileKeys;
  const Part part = part_of<DecodeTile, kHeads>(o, plan);
  WarpRows<KV, kWidth, 1, kHeads> rows;
  DynamicShared shared;
  const auto s_k = shared.take<KV>(kStagedElems<kWidth>, "s_k");  // [kStages, kTileKeys, kWidth] swizzled
  const auto s_v = shared.take<KV>(kStagedElems<kWidth>, "s_v");  // the same

  const int64_t first = int64_t{part.token} * o.n_q_heads + part.first_head;
  const int32_t h = rows.row(), warp = static_cast<int32_t>(threadIdx.x) / kWarpSize;
  const auto s_q = shared.take<KV>(0, "s_q");  // empty: q is in registers
  rows.load_query(o, {h < part.n_heads ? first + h : -1, h + 8 < part.n_heads ? first + h + 8 : -1}, s_q, 0,
                  false);

  if (part.begin < part.end) {
    WarpCopies<KV, kWidth, kTileKeys> copies(o, part.sequence, part.g, {part.begin, part.end},
                                             part.first_tile);
    const auto first_row = [&](int32_t stage) { return stage * kTileKeys + warp * kWarpKeys; };
    const auto request = [&](int32_t stage) {
      copies.request_k(o, s_k, first_row(stage));
      copies.request_v(o, s_v, first_row(stage));
      copies.close_group();
    };
    for (int32_t stage = 0; stage < kStages; ++stage) request(stage);

    int32_t stage = 0;
    for (int32_t tile = part.first_tile; tile < part.end; tile += kTileKeys) {
      copies.template wait<kStages - 1>();
      __syncwarp();  // the copies of all lanes have arrived before any lane reads them
      FragmentC r_x[kWarpKeys / 8];
      rows.scores(s_q, 0, s_k, first_row(stage), r_x);
      if (tile < part.begin || tile + kTileKeys > part.end)
        for (int32_t j = 0; j < kWarpKeys / 8; ++j)
          for (int32_t i = 0; i < 4; ++i) {
            const int32_t s = tile + warp * kWarpKeys + 8 * j + rows.column() + i % 2;
            if (s < part.begin || s >= part.end) r_x[j].x[i] = kMinusInfinity;
          }
      float r_factor[2];
      rows.weigh(r_x, r_factor);
      rows.add_values(r_x, r_factor, s_v, first_row(stage));
      __syncwarp();  // all lanes have read this stage before any lane requests its next rows
      request(stage);
      stage = stage + 1 < kStages ? stage + 1 : 0;
    }
  }
  finish(o, plan, partials, part, rows);
}

constexpr int64_t kMergeBytes = 5 << 10;  // at most this for the warps' states at the end

/// What the template instance for this shape needs of shared memory and registers.
SplitKernel split_kernel(const gpu::AttendTask& task) {
  SplitKernel kernel{gpu::SplitKind::products, 0};
  with_kv_type<BFloat16>(task.shape.kv_dtype, [&]<typename KV>(KV) {
    with_width(task.shape, [&]<int32_t kWidth>() {
      kernel.shared_bytes = kSharedBytes<KV, kWidth> + kMergeBytes;
      kernel.blocks_at_once = kDecodeBlocks<kWidth>;
    });
  });
  return kernel;
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype != DType::bf16) return "it needs K/V in bf16";
  if (const std::string why_not = s.beyond_a_scale(); !why_not.empty()) return why_not;
  if (s.head_dim % 8 != 0) return "it needs head_dim to be a multiple of 8, as it copies 16 bytes";
  if (task.tuning.n_parts != 1) return "it needs n_parts 1, as it rounds q and p";
  if (s.head_dim > 128) return "it needs head_dim at most 128, as registers are short";
  if (const std::string why_not = too_many_rows(s); !why_not.empty()) return why_not;
  return split_kernel(task).shared_bytes <= task.device.max_shared_bytes
             ? ""
             : "its tiles need more shared memory than this device has";
}

int64_t scratch_elems(const gpu::AttendTask& task) {
  return partial_elems(task.shape, plan_of<DecodeTile, kHeads>(task, split_kernel(task)));
}

void start(const gpu::AttendCall& call, Stream stream) {
  const gpu::AttendShape& s = call.task.shape;
  if (s.n_tokens == 0) return;
  with_kv_type<BFloat16>(s.kv_dtype, [&]<typename KV>(KV) {
    with_width(s, [&]<int32_t kWidth>() {
      const SplitPlan plan = plan_of<DecodeTile, kHeads>(call.task, split_kernel(call.task), call.spec.mask);
      launch(Kernel{"k11a_tensor_cores", k11a_tensor_cores<KV, kWidth>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, kSharedBytes<KV, kWidth>, stream, operands<KV>(call, 0), plan,
             partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

const Rung k11a{.name = "k11a",
                .parent = "k10",
                .idea = "tensor cores for a group of heads",
                .supports_one_type = supports,
                .scratch_elems = scratch_elems,
                .launch = start,
                .rounds = true};

}  // namespace lastrow::LASTROW_TARGET
