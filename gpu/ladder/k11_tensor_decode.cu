// k11: K/V of 8 bits on tensor cores: widened to f16 where they leave shared memory.
//
// idea     8-bit numbers are exact in f16, so what tensor cores multiply is what is stored; half the bytes come from
//          memory, and the instructions per byte stay few enough to keep up
// since    k11b: matrices of bytes become operands of f16 (stored_fragments.h), the scales of int8 are copied beside
//          their rows and multiplied into the scores and p (key_scales.h), and n_parts 1 rounds q and p as k11a does
// headers  It opens 16 headers, because products of matrices need the layouts of both instructions and of shared
//          memory.
// grid     x (token t, split, chunk of ≤ 16 query heads), y K/V head g, as k11b. A group of 71 heads is five
//          chunks, which are neighbours, so four of them find in L2 what one has read
// block    4 warps, which share q and meet at the end; each takes 16 consecutive keys s of every 64
// group    none: a warp has 16 rows, which are the heads of the chunk, then zeros
// lane     for copies 16 bytes of a row of K and of V; for products two heads × two of 8 keys, or two of 8 d
//          (tensor_cores.h)
// sums     in float, with 2^x; one softmax update per 16 keys. q and p are sums of parts in the type of K/V
//          (float_parts.h), so one product becomes two (f16) or three (bf16), for which decode has time;
//          n_parts 1 rounds q and p instead. K/V of 8 bits are widened to f16 when they leave shared memory
//          (stored_fragments.h); the scales of int8 are multiplied into the scores and p (key_scales.h)
// merge    the warps of a block at the end, 16 dims at a time; the splits as k07
// reads    each K and V byte once per chunk, and the scales of int8; kStages tiles in flight; the table once
//          per key, by two lanes
// scratch  as k07
// shared   kStages · 64 rows of K and of V, and the parts of q: at head_dim 128 this is 108 KiB in bf16, 104
//          in f16, 58 in int8 with its scales, 56 in fp8; and at most 5 KiB for the merge. On sm_90 two
//          blocks run at once, three at head_dim 64; in 8 bits registers have no room for the third
// takes    f16, bf16, fp8 (e4m3), int8; any group; head_dim a multiple of 8, or of 16 in 8 bits, up to 128,
//          computed as 64 or 128; any block_len; decode and prefill. sm_80 and later. k09 computes
//          K int8 with V fp8: here copies, fragments and scales have one type, and the pair would add 4 kernels to 16
// measured 64:8×128 b32 kv4096 bf16: 133.6 µs, 103 % of read (k10: 155.6 µs); 32:8×128 b32 kv4096 bf16: 133.5 µs (k10:
//          137.2 µs); 32:8×128 b1 kv4096 bf16: 14.5 µs (k10: 12.4 µs), because the stages take longer to fill; 32:8×128
//          b32 kv4096 i8: 80.6 µs, 88 % of read (k09: 124.5 µs); 32:8×128 b32 kv4096 fp8: 71.5 µs, 96 % of read (k09:
//          110.3 µs). All on an H200, gpu/README.md
// source   Ainslie et al. 2023, "GQA", for the group; tensor_cores.h, async_copy.h
#include "gpu/ladder/ladder.h"
#include "gpu/parts/key_scales.h"
#include "gpu/parts/split_kv.h"

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
/// Scales of K and of V together in shared memory.
template <typename KV>
constexpr int64_t kStagedScales = scale_bytes(dtype_of<KV>) > 0 ? 2 * kStages* DecodeTile::kTileKeys : 0;
template <typename KV, int32_t kWidth, int32_t kParts>
constexpr int64_t kSharedBytes = 2 * WarpRows<KV, kWidth, kParts, kHeads>::kQueryElems +
                                 2 * kStagedElems<kWidth>* int64_t{sizeof(KV)} + 4 * kStagedScales<KV>;

/// Merges the warps' states, 16 dims at a time, then writes the block's output or its partial.
template <typename Rows, typename KV>
__device__ inline void finish(const AttendOperands<KV>& o, SplitPlan plan, const Partials& partials,
                              const Part& part, Rows& rows) {
  constexpr int32_t kDims = 16;
  LASTROW_SHARED(float, s_acc, kWarps* kHeads* kDims);  // [warp, h, 16 of d]
  LASTROW_SHARED(float, s_row_max, kWarps* kHeads);     // [warp, h], then factors
  LASTROW_SHARED(float, s_row_sum, kWarps* kHeads);     // [warp, h]
  const auto thread = static_cast<int32_t>(threadIdx.x), warp = thread / kWarpSize;

  // In every other pair of rows, two halves of 8 d change places (in 8 bits, neighbouring pairs of d). So the
  // lanes of one store write to different banks.
  const auto at = [](int32_t row, int32_t d) {
    return row * kDims + (d ^ (row & 2) * (sizeof(KV) == 1 ? 1 : 4));
  };
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

template <typename KV, int32_t kWidth, int32_t kParts>
__global__ void __launch_bounds__(kRowThreads, kDecodeBlocks<kWidth>)
    k11_tensor_decode(AttendOperands<KV> o, SplitPlan plan, Partials partials) {
  constexpr int32_t kTileKeys = DecodeTile::kTileKeys;
  const Part part = part_of<DecodeTile, kHeads>(o, plan);
  WarpRows<KV, kWidth, kParts, kHeads> rows;
  DynamicShared shared;
  const auto s_q = shared.take<Operand<KV>>(rows.kQueryElems, "s_q");  // [kParts, kHeads, kWidth] swizzled
  const auto s_k = shared.take<KV>(kStagedElems<kWidth>, "s_k");  // [kStages, kTileKeys, kWidth] swizzled
  const auto s_v = shared.take<KV>(kStagedElems<kWidth>, "s_v");  // the same
  const auto s_scales =
      shared.take<float>(kStagedScales<KV>, "s_scales");  // [kStages, kTileKeys, 2]   int8 only

  const int64_t first = int64_t{part.token} * o.n_q_heads + part.first_head;
  const int32_t h = rows.row(), warp = static_cast<int32_t>(threadIdx.x) / kWarpSize;
  rows.load_query(o, {h < part.n_heads ? first + h : -1, h + 8 < part.n_heads ? first + h + 8 : -1}, s_q, 0,
                  warp == 0);
  __syncthreads();  // the first warp has written s_q before any warp reads it

  ValueUnits<KV> units;
  if (part.begin < part.end) {
    WarpCopies<KV, kWidth, kTileKeys> copies(o, part.sequence, part.g, {part.begin, part.end},
                                             part.first_tile);
    const auto first_row = [&](int32_t stage) { return stage * kTileKeys + warp * kWarpKeys; };
    const auto request = [&](int32_t stage) {
      copies.request_k(o, s_k, first_row(stage));
      copies.request_v(o, s_v, first_row(stage));
      copies.request_scales(o, s_scales, first_row(stage));
      copies.close_group();
    };
    for (int32_t stage = 0; stage < kStages; ++stage) request(stage);

    int32_t stage = 0;
    for (int32_t tile = part.first_tile; tile < part.end; tile += kTileKeys) {
      copies.template wait<kStages - 1>();
      __syncwarp();  // the copies of all lanes have arrived before any lane reads them
      FragmentC r_x[kWarpKeys / 8];
      rows.scores(s_q, 0, s_k, first_row(stage), r_x);
      const KeyScales<KV, kWarpKeys / 8> scales(s_scales, first_row(stage));
      scales.of_k(r_x);
      if (tile < part.begin || tile + kTileKeys > part.end)
        for (int32_t j = 0; j < kWarpKeys / 8; ++j)
          for (int32_t i = 0; i < 4; ++i) {
            const int32_t s = tile + warp * kWarpKeys + 8 * j + rows.column() + i % 2;
            if (s < part.begin || s >= part.end) r_x[j].x[i] = kMinusInfinity;
          }
      if (!o.score.only_scales())
        for (int32_t j = 0; j < kWarpKeys / 8; ++j)
          for (int32_t i = 0; i < 4; ++i) {
            float r_score[1] = {r_x[j].x[i]};
            finish_scores<1>(o, part, part.first_head + h + i / 2 * 8,
                             tile + warp * kWarpKeys + 8 * j + rows.column() + i % 2, r_score);
            r_x[j].x[i] = r_score[0];
          }
      float r_factor[2];
      rows.weigh(r_x, r_factor);
      units.take(scales, r_x, r_factor);
      rows.add_values(r_x, r_factor, s_v, first_row(stage));
      __syncwarp();  // all lanes have read this stage before any lane requests its next rows
      request(stage);
      stage = stage + 1 < kStages ? stage + 1 : 0;
    }
  }
  units.finish(rows);
  finish(o, plan, partials, part, rows);
}

constexpr int64_t kMergeBytes = 5 << 10;  // at most this for the warps' states at the end

/// What the template instance for this shape needs of shared memory and registers.
SplitKernel split_kernel(const gpu::AttendTask& task) {
  SplitKernel kernel{gpu::SplitKind::products, 0};
  with_kv_type<Half, BFloat16, Fp8E4M3, int8_t>(task.shape.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(task, [&]<int32_t kWidth, int32_t kParts>() {
      kernel.shared_bytes = kSharedBytes<KV, kWidth, kParts> + kMergeBytes;
      kernel.blocks_at_once = kDecodeBlocks<kWidth>;
    });
  });
  return kernel;
}

std::string supports(const gpu::AttendTask& task) {
  const gpu::AttendShape& s = task.shape;
  if (s.kv_dtype == DType::f32) return "it needs K/V in f16, bf16, fp8 or int8";
  if (s.head_dim % (size_of(s.kv_dtype.k) == 1 ? 16 : 8) != 0)
    return "it needs head_dim to be a multiple of 8 (of 16 in fp8 and int8), as it copies 16 bytes";
  if (task.tuning.n_parts < 0 || task.tuning.n_parts > 1) return "it needs n_parts 0 or 1";
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
  with_kv_type<Half, BFloat16, Fp8E4M3, int8_t>(s.kv_dtype, [&]<typename KV>(KV) {
    with_product_shape<KV>(call.task, [&]<int32_t kWidth, int32_t kParts>() {
      const SplitPlan plan = plan_of<DecodeTile, kHeads>(call.task, split_kernel(call.task), call.spec.mask);
      launch(Kernel{"k11_tensor_decode", k11_tensor_decode<KV, kWidth, kParts>}, split_grid<kHeads>(s, plan),
             {kRowThreads}, kSharedBytes<KV, kWidth, kParts>, stream, operands<KV>(call, 0), plan,
             partials_in(call, plan));
      merge_splits(call, plan, stream);
    });
  });
}

}  // namespace

const Rung k11{.name = "k11",
               .parent = "k11b",
               .idea = "tensor cores for K/V of 8 bits",
               .supports_one_type = supports,
               .scratch_elems = scratch_elems,
               .launch = start};

}  // namespace lastrow::LASTROW_TARGET
