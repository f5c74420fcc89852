// ids[i] = index of the largest logit of row i, the first of equals.
//
// warp     one row;  block of one warp; lanes share vocab_size, then halve
#include "gpu/kernels/attend_operands.h"
#include "gpu/kernels/ops/ops.h"

namespace lastrow::LASTROW_TARGET {
namespace {

__global__ void argmax_kernel(Global<const float> g_logits,  // [n_rows, vocab_size]
                              Global<int32_t> g_ids,         // [n_rows]
                              int64_t vocab_size) {
  const int64_t row = blockIdx.x;
  const int32_t lane = threadIdx.x;
  float best = kMinusInfinity;
  int32_t id = lane < vocab_size ? lane : 0;
  for (int64_t i = lane; i < vocab_size; i += kWarpSize) {
    const float x = g_logits.load(row * vocab_size + i);
    if (x > best) {
      best = x;
      id = static_cast<int32_t>(i);
    }
  }
  for (int32_t flip = kWarpSize / 2; flip > 0; flip /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, best, flip);
    const int32_t other_id = __shfl_xor_sync(kAllLanes, id, flip);
    if (other > best || (other == best && other_id < id)) {
      best = other;
      id = other_id;
    }
  }
  if (lane == 0) g_ids.store(row, id);
}

}  // namespace

void argmax(const float* logits, int64_t n_rows, int64_t vocab_size, int32_t* ids, Stream stream) {
  if (n_rows == 0) return;
  launch(Kernel{"argmax", argmax_kernel}, {static_cast<uint32_t>(n_rows)}, {kWarpSize}, 0, stream,
         Global<const float>(logits, n_rows * vocab_size, "g_logits"), Global<int32_t>(ids, n_rows, "g_ids"),
         vocab_size);
}

}  // namespace lastrow::LASTROW_TARGET
