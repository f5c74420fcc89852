// From which rows did a written row come? The rule of each operation, for events of a trace.
//
//   rows_read(rule, {event.reads, event.writes, plan, layer, mask}, written)
//
// An operation says which rule it follows (OpTraits); the rules are here, and nothing else knows them:
//   row_by_row   out[t] ← row t of each source
//   gathered     out[i] ← x[logit_rows[i]]
//   appended     slot of t ← k[t] (K) or v[t] (V)
//   attended     out[t], lse[t] ← q[t], and K and (out only) V of the slots that t sees
//   copied       slot ← the slot that it was copied from
//   none         ← nothing
// Weights and biases are no rows of the history: no rule names them. A test perturbs every input row of every
// operation and sees exactly the listed rows change.
#pragma once

#include <span>
#include <vector>

#include "attention/mask.h"
#include "cache/step_plan.h"
#include "ops/operands.h"
#include "ops/rows.h"

namespace lastrow {

/// The rows of one call, in the order of its Operands. Slots of K and of V come after the tensors.
struct CallRows {
  std::span<const RowSpan> reads, writes;
  const StepPlan& plan;
  int32_t layer;
  MaskRule mask;  // of attention; else not looked at
};

/// What row t of write `output` came from, ascending, each once. Throws UsageError for a row that the step does
/// not have.
std::vector<Row> rows_read(const OpTraits& op, const CallRows& call, size_t output, int64_t t);

}  // namespace lastrow
