// The cost of one forward of a decoder, computed from its sizes: the sum of the formulas of its operations.
//
//   step_cost(shape, {.q_len = 1, .kv_len = 2048, .weight_elem_bytes = 2, .k = {2}, .v = {2}})
//
// It needs no weights, so it also works for models that are too large to run. For a step that does run,
// trace/counting.h counts the calls.
#pragma once

#include "cost/model_shape.h"
#include "cost/op_cost.h"

namespace lastrow {

/// One forward of `batch` sequences of equal length.
struct StepSize {
  int64_t q_len = 1;         // new tokens of each sequence
  int64_t kv_len = 1;        // tokens of each sequence after the step: the cached and the new ones
  int64_t n_logit_rows = 1;  // rows of the whole step that go through the final norm and the LM head
  int64_t weight_elem_bytes = cost::kF32Bytes;
  cost::RowFormat k{}, v{};  // how rows of one head are stored
  int64_t activation_elem_bytes = cost::kF32Bytes;
  int64_t batch = 1;
};

/// The sum over these operations of one forward (argmax is not counted):
///   embed
///   each layer: rms_norm, linear q, k, v, rope q, k, append, attend, linear o, add,
///               rms_norm, linear gate, up, swiglu, linear down, add
///   gather_rows, rms_norm and the LM head, for n_logit_rows rows
/// All layers process all rows. Recompute is q_len == kv_len. If the shape says so, layer_norm, gelu and
/// learned positions take the place of rms_norm, swiglu and rope. Every gated MLP counts as SwiGLU. If a
/// layer has more than two norms, all of them are counted. Logit caps and scalings are not counted.
/// Throws ShapeError for an impossible step (kv_len < q_len, more logit rows than rows) or a cost ≥ 2^63.
OpCost step_cost(const ModelShape& shape, const StepSize& step);

}  // namespace lastrow
