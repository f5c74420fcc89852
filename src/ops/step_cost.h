// What one forward of a decoder costs, from its sizes alone: the sum of its operations' formulas.
//
//   step_cost(shape, {.q_len = 1, .kv_len = 2048, .weight_elem_bytes = 2, .cache_elem_bytes = 2})
//
// For models that are not at hand. A step that runs is counted by trace/counting.h, from the calls themselves.
#pragma once

#include "cost/model_shape.h"
#include "cost/op_cost.h"

namespace lastrow {

/// One forward of `batch` sequences of equal length.
struct StepSize {
  int64_t q_len = 1;         // new tokens of each sequence
  int64_t kv_len = 1;        // tokens of each sequence after the step: those cached before, and the new ones
  int64_t n_logit_rows = 1;  // rows of the whole step that go through the final norm and the LM head
  int64_t weight_elem_bytes = cost::kF32Bytes;
  int64_t cache_elem_bytes = cost::kF32Bytes;
  int64_t activation_elem_bytes = cost::kF32Bytes;
  int64_t batch = 1;
  int64_t cache_scale_bytes = 0;  // of a row of K or V in one head: CacheFormat::scale_bytes
};

/// The sum over the operations of one forward, without argmax:
///   first         embed
///   each layer    rms_norm, linear q, k, v, rope q, k, append, attend, linear o, add,
///                 rms_norm, linear gate, up, swiglu, linear down, add
///   last          gather_rows, and for these rows only: rms_norm and LM head
/// All layers process all rows. A recompute step has q_len == kv_len.
/// Other model families differ only where the shape says so: layer_norm, gelu, and embed_positions in place of rope.
/// A gated MLP counts as SwiGLU, and each extra norm of a layer as a norm. Logit caps and scalings do not count.
/// Throws ShapeError for an impossible step (kv_len < q_len, more logit rows than rows) or a cost ≥ 2^63.
OpCost step_cost(const ModelShape& shape, const StepSize& step);

}  // namespace lastrow
