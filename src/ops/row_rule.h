// Which rows was a written row computed from? This file has the rule for each operation.
//
//   rows_read(traits(event.op), {event.reads, event.writes, plan, layer, mask}, output, t)
//
// An operation says in its OpTraits which rule it follows. The rules are only in this file:
//   row_by_row   out[t] ← row t of each source
//   gathered     out[i] ← x[logit_rows[i]]
//   appended     slot of t ← k[t] (K) or v[t] (V)
//   rotated      slot of the scratch ← the same slot of K
//   attended     out[t], lse[t] ← q[t], and K and (out only) V of the slots that t sees
//                if the call reads rotated keys, these take the place of K
//   weighed      mass[i] ← q[t] and lse[t] of the tokens t of sequence i, and K of the slots that they see
//   sealed       slot of K ← all slots of its block, because they share the scales
//   copied       slot ← the slot that it was copied from
//   none         ← nothing
// No rule names weights or biases, because they are the same in every step. A test changes the input rows of
// each operation, one at a time. It checks that an output row changes if and only if its rule names the
// changed row.
#pragma once

#include <span>
#include <vector>

#include "attention/mask.h"
#include "cache/step_plan.h"
#include "ops/operands.h"
#include "ops/rows.h"

namespace lastrow {

/// The rows of one call, in the order of its Operands. The slots of K and of V come after the tensors.
struct CallRows {
  std::span<const RowSpan> reads, writes;
  const StepPlan& plan;
  int32_t layer;
  MaskRule mask;  // used for attention only
};

/// The rows that row t of writes[output] was computed from, in ascending order, each once. Throws UsageError
/// for a row that the step does not have.
std::vector<Row> rows_read(const OpTraits& op, const CallRows& call, size_t output, int64_t t);

}  // namespace lastrow
