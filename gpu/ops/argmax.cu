// ids[i] = index of the largest logit of row i, the first of equals. A NaN is never the largest; a row of
// nothing but NaN and −∞ has 0.
//
// block    one row; a warp for each 512 logits, at most 32 warps
// lane     16 bytes at every n_threads-th place of the row, kAhead loads in flight; logits before the row's
//          first 16-byte boundary and after its last are taken one by one
#include "gpu/ops/ops.h"
#include "gpu/parts/attend_operands.h"

namespace lastrow::LASTROW_TARGET {
namespace {

constexpr int32_t kMostWarps = 32, kLogitsOfWarp = 512, kAhead = 4;

/// The largest of some logits, and where the first of equals lies; of none −∞ and 0.
struct Largest {
  float x = kMinusInfinity;
  int32_t id = 0;

  /// For an id above all that were taken.
  __device__ void take_next(float other, int32_t other_id) {
    if (other > x) x = other, id = other_id;
  }
  __device__ void take(float other, int32_t other_id) {
    if (other > x || (other == x && other_id < id)) x = other, id = other_id;
  }
  /// Over the lanes of the warp.
  __device__ void merge_lanes() {
    for (int32_t flip = kWarpSize / 2; flip > 0; flip /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, x, flip);
      take(other, __shfl_xor_sync(kAllLanes, id, flip));
    }
  }
};

__global__ void __launch_bounds__(kMostWarps* kWarpSize)
    argmax_kernel(Global<const float> g_logits,  // [n_rows, vocab_size]
                  Global<int32_t> g_ids,         // [n_rows]
                  int32_t vocab_size,
                  int32_t offset) {  // of g_logits[0] from a 16-byte boundary, in floats
  LASTROW_SHARED(float, s_x, kMostWarps);
  LASTROW_SHARED(int32_t, s_id, kMostWarps);
  const auto thread = static_cast<int32_t>(threadIdx.x), n_threads = static_cast<int32_t>(blockDim.x);
  const int32_t warp = thread / kWarpSize, lane = thread % kWarpSize;
  const int64_t row = int64_t{blockIdx.x} * vocab_size;
  const auto before =
      static_cast<int32_t>(-(row + offset) & 3);  // logits of the row before a 16-byte boundary
  const int32_t begin = before < vocab_size ? before : vocab_size, n_vecs = (vocab_size - begin) / 4,
                end = begin + 4 * n_vecs;

  Largest largest;
  for (int32_t first = thread; first < n_vecs; first += kAhead * n_threads) {
    Vec<float, 4> r_x[kAhead];
    for (int32_t j = 0; j < kAhead; ++j) {
      const int32_t i = first + j * n_threads;
      r_x[j] = g_logits.load_vec_or_zero<4>(row + begin + 4 * i, i < n_vecs);
    }
    for (int32_t j = 0; j < kAhead; ++j) {
      const int32_t i = first + j * n_threads;
      for (int32_t e = 0; e < 4 && i < n_vecs; ++e) largest.take_next(r_x[j].x[e], begin + 4 * i + e);
    }
  }
  if (thread < begin) largest.take(g_logits.load(row + thread), thread);
  if (end + thread < vocab_size) largest.take(g_logits.load(row + end + thread), end + thread);

  largest.merge_lanes();
  if (lane == 0) s_x.store(warp, largest.x), s_id.store(warp, largest.id);
  __syncthreads();  // each warp's largest is written before the first warp reads them
  if (warp > 0) return;
  largest = {};
  if (lane < n_threads / kWarpSize) largest = {s_x.load(lane), s_id.load(lane)};
  largest.merge_lanes();
  if (lane == 0) g_ids.store(blockIdx.x, largest.id);
}

}  // namespace

void argmax(const float* logits, int64_t n_rows, int64_t vocab_size, int32_t* ids, Stream stream) {
  if (n_rows == 0) return;
  const auto n_warps =
      static_cast<uint32_t>(std::min<int64_t>(kMostWarps, ceil_div(vocab_size, kLogitsOfWarp)));
  launch(Kernel{"argmax", argmax_kernel}, {static_cast<uint32_t>(n_rows)}, {n_warps * kWarpSize}, 0, stream,
         Global<const float>(logits, n_rows * vocab_size, "g_logits"), Global<int32_t>(ids, n_rows, "g_ids"),
         static_cast<int32_t>(vocab_size),
         static_cast<int32_t>(reinterpret_cast<uintptr_t>(logits) / sizeof(float) % 4));
}

}  // namespace lastrow::LASTROW_TARGET
